/** Passkeys: what the appliance asks of the browser, and what the browser answers (WebAuthn's own JSON). */
import { api, ApiFault, take, type Schemas } from './client';

type Options = Schemas['Options']['options'];
type Proof = Schemas['ProofIn'];
type Made = Schemas['MadeIn'];

/** Somebody closed the browser's dialog, or let it run out: nothing to be told. */
export class Declined extends Error {}

/** Whether this browser has passkeys at this address: browsers have none for a bare number. */
export function available(host: string = location.hostname): boolean {
  const isNumber = /^[\d.]+$/.test(host) || host.includes(':') || host.startsWith('[');
  return 'PublicKeyCredential' in window && window.isSecureContext && !isNumber;
}

/** Whether the browser offers passkeys beneath a text field by itself. */
export async function offeredInFields(): Promise<boolean> {
  return available() && (await PublicKeyCredential.isConditionalMediationAvailable?.().catch(() => false)) === true;
}

/** A challenge signed by one of the person's passkeys. Throws Declined. */
export async function sign(options: Options, how: { inField?: boolean; signal?: AbortSignal } = {}): Promise<Proof> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options as unknown as PublicKeyCredentialRequestOptionsJSON,
  );
  const mediation = how.inField ? 'conditional' : 'optional';
  return (await asked(() => navigator.credentials.get({ publicKey, mediation, signal: how.signal }))) as Proof;
}

/** A new passkey on this device. Throws Declined. */
export async function make(options: Options): Promise<Made> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as unknown as PublicKeyCredentialCreationOptionsJSON,
  );
  return (await asked(() => navigator.credentials.create({ publicKey }))) as Made;
}

async function asked(work: () => Promise<Credential | null>): Promise<unknown> {
  try {
    const credential = await work();
    if (credential === null) throw new Declined();
    return (credential as PublicKeyCredential).toJSON();
  } catch (problem) {
    if (problem instanceof DOMException) {
      if (problem.name === 'NotAllowedError' || problem.name === 'AbortError') throw new Declined();
      throw new ApiFault(0, 'passkey', problem.name, problem.message);
    }
    throw problem;
  }
}

/** Signs in; who it is. Throws Declined, ApiFault. */
export async function signIn(how: { inField?: boolean; signal?: AbortSignal } = {}): Promise<Schemas['Me']> {
  const { options } = await take(api.POST('/api/auth/sign-in/passkey/options'));
  const credential = await sign(options, how);
  return take(api.POST('/api/auth/sign-in/passkey', { body: { credential } }));
}

/** Proves once more who one is. Throws Declined, ApiFault. */
export async function stepUp(): Promise<void> {
  const { options } = await take(api.POST('/api/auth/step-up/passkey/options'));
  const credential = await sign(options);
  await take(api.POST('/api/auth/step-up/passkey', { body: { credential } }));
}

/** Adds one to one's own account. Throws Declined, ApiFault. */
export async function add(name: string): Promise<Schemas['PasskeyOut']> {
  const { options } = await take(api.POST('/api/auth/passkeys/options'));
  const credential = await make(options);
  return take(api.POST('/api/auth/passkeys', { body: { name, credential } }));
}
