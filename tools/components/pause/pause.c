// The process that keeps a pod's namespaces alive: it reaps orphans and ends on SIGTERM or SIGINT.
#include <signal.h>
#include <sys/wait.h>

int main(void) {
	sigset_t signals;
	int received;
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, 0);
	while (sigwait(&signals, &received) == 0 && received == SIGCHLD) {
		while (waitpid(-1, 0, WNOHANG) > 0) {
		}
	}
	return 0;
}
