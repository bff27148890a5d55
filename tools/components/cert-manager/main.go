// The cert-manager controller with the issuers that need nothing outside the cluster (CA, self-signed).
//
// The published module carries no cmd/ folder, so this main registers the public controllers by import
// and runs them as cert-manager's own does. There is no webhook, no cainjector and no ACME.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	logf "github.com/cert-manager/cert-manager/pkg/logs"

	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
)

const workersPerController = 5

func main() {
	namespace := flag.String("cluster-resource-namespace", "cert-manager", "namespace of the Secrets that ClusterIssuers name")
	kubeconfig := flag.String("kubeconfig", "", "path of a kubeconfig; empty means the pod's service account")
	health := flag.String("health-address", ":9403", "address of /livez and /readyz")
	flag.Parse()

	logf.InitLogs()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx = logf.NewContext(ctx, logf.Log)
	if err := run(ctx, *namespace, *kubeconfig, *health); err != nil {
		fmt.Fprintln(os.Stderr, "cert-manager:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, namespace, kubeconfig, health string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	// The backoffs are cert-manager's own defaults; its flag parser sets them, so they are zero here otherwise.
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig:         kubeconfig,
		KubernetesAPIQPS:   50,
		KubernetesAPIBurst: 100,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: namespace},
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	})
	if err != nil {
		return err
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}

	// Every constructor must have registered its informers before any factory starts.
	running := make(map[string]controller.Interface)
	for name, construct := range controller.Known() {
		if running[name], err = construct(factory); err != nil {
			return fmt.Errorf("controller %s: %w", name, err)
		}
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())

	failed := make(chan error, len(running)+1)
	var group sync.WaitGroup
	for name, one := range running {
		group.Go(func() {
			if err := one.Run(workersPerController, ctx); err != nil {
				failed <- fmt.Errorf("controller %s: %w", name, err)
			}
		})
	}
	server := serveHealth(ctx, shared, health, failed)

	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	cancel()
	group.Wait()
	return errors.Join(err, server.Close())
}

// Ready means that every informer has its first list: a Certificate created now is seen.
func serveHealth(ctx context.Context, shared *controller.Context, address string, failed chan<- error) *http.Server {
	synced := make(chan struct{})
	go func() {
		shared.SharedInformerFactory.WaitForCacheSync(ctx.Done())
		shared.KubeSharedInformerFactory.WaitForCacheSync(ctx.Done())
		close(synced)
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-synced:
			w.WriteHeader(http.StatusOK)
		default:
			http.Error(w, "informers are not synced", http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return server
}
