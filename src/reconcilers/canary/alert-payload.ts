// Messages in the forms that services take.
import type { AlertProviderSpec } from '../../api/index.ts';
import type { Alert } from './observed.ts';

const COLOURS = { info: 'good', warn: 'warning', error: 'danger' } as const;
const HEX = { info: '2eb67d', warn: 'ecb22e', error: 'e01e5a' } as const;

export interface AlertSubject {
  readonly namespace: string;
  readonly name: string;
}

export function alertPayload(
  provider: AlertProviderSpec,
  { severity, message, phase }: Alert,
  about: AlertSubject,
): object {
  const who = `${about.name}.${about.namespace}`;
  const { channel, username = 'weft' } = provider;
  switch (provider.type) {
    case 'gchat':
      return { text: `*${who}*\n${message}` };
    case 'msteams':
      return {
        '@type': 'MessageCard',
        '@context': 'http://schema.org/extensions',
        themeColor: HEX[severity],
        summary: who,
        sections: [{ activityTitle: message, activitySubtitle: who }],
      };
    case 'webhook':
      return { ...about, phase, severity, message };
    // Discord and Rocket.Chat take what Slack takes.
    case 'slack':
    case 'discord':
    case 'rocket':
    default:
      return {
        ...(channel === undefined ? {} : { channel }),
        username,
        attachments: [{ color: COLOURS[severity], author_name: who, text: message, mrkdwn_in: ['text'] }],
      };
  }
}

/** Discord takes Slack's form at an address of its own. */
export const alertAddress = (type: AlertProviderSpec['type'], address: string): string =>
  type === 'discord' && !address.endsWith('/slack') ? `${address.replace(/\/+$/, '')}/slack` : address;
