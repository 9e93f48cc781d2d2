/**
 * The one fetch module: every request of the dashboard goes through here.
 *
 * Types come from the appliance's own description (schema.d.ts is drawn from docs/reference/openapi.json).
 */
import createClient from 'openapi-fetch';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

/** How long the appliance may take to answer before the page says that it does not. */
const PATIENCE_MS = 20_000;

export interface FieldFault {
  path: string;
  message: string;
}

/** Anything that did not work. `status` 0: the appliance could not be reached. */
export class ApiFault extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly errors: FieldFault[] = [],
    readonly requestId = '',
    readonly retryAfterS: number | null = null,
  ) {
    super(detail || title);
    this.name = 'ApiFault';
  }

  /** What is wrong with one field; an empty text where nothing is. */
  at(path: string): string {
    return this.errors.find((one) => one.path === path)?.message ?? '';
  }
}

/** Whoever opens a page is content with what was so three seconds ago, as far as senders alone changed it since. */
export const FIRST_LOOK = { 'Cache-Control': 'max-stale=3' };

/** After a first look: in how many milliseconds there is something newer; 0 where it was the newest. */
export const newerIn = (answer: Response): number => Number(answer.headers.get('x-newer-in-ms') ?? 0);

/**
 * What others hang in: the session's token, what to do when it is over, the dialog that asks for the password, and who
 * reads an address once more that was answered with something older.
 */
export const hooks = {
  csrfToken: '',
  onNewer: null as ((path: string, inMs: number) => void) | null,
  onSignedOut: (): void => undefined,
  askStepUp: (): Promise<boolean> => Promise.resolve(false),
};

const READS = new Set(['GET', 'HEAD']);

async function send(request: Request): Promise<Response> {
  const again = request.clone();
  const answer = await once(request);
  if (answer.status === 401 && !new URL(request.url).pathname.startsWith('/api/auth/sign-in')) {
    if ((await problemOf(answer.clone())).code === 'not_signed_in') hooks.onSignedOut();
  }
  if (answer.status === 403 && (await problemOf(answer.clone())).code === 'step_up_needed') {
    if (await hooks.askStepUp()) return once(again);
  }
  return answer;
}

async function once(request: Request): Promise<Response> {
  const headers = new Headers(request.headers);
  if (!READS.has(request.method) && hooks.csrfToken) headers.set('x-csrf-token', hooks.csrfToken);
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]);
  try {
    const answer = await fetch(new Request(request, { headers, signal }));
    if (newerIn(answer) > 0) hooks.onNewer?.(new URL(request.url).pathname, newerIn(answer));
    return answer;
  } catch (problem) {
    if (request.signal.aborted) throw problem;
    throw unreachable(problem);
  }
}

function unreachable(problem: unknown): ApiFault {
  const late = problem instanceof DOMException && problem.name === 'TimeoutError';
  return late
    ? new ApiFault(0, 'too_slow', 'No answer', `SignalCraft did not answer within ${PATIENCE_MS / 1000} seconds.`)
    : new ApiFault(
        0,
        'unreachable',
        'Not reachable',
        'SignalCraft cannot be reached. Is it running, and are you online?',
      );
}

async function problemOf(answer: Response): Promise<Partial<Schemas['Problem']>> {
  try {
    return (await answer.json()) as Partial<Schemas['Problem']>;
  } catch {
    return {};
  }
}

/** Calls the API by path; every path, parameter and body is checked against the description. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** What an answer holds. Throws ApiFault where it is none of those that were hoped for. */
export async function take<T>(asked: Promise<Answered<T>>): Promise<T> {
  const { data, error, response } = await asked;
  if (response.ok) return data as T;
  throw faultOf(response, error);
}

/** A refused answer as a fault. */
export function faultOf(response: Response, body: unknown): ApiFault {
  const said = (typeof body === 'object' && body !== null ? body : {}) as Partial<Schemas['Problem']>;
  const wait = Number(response.headers.get('retry-after'));
  return new ApiFault(
    response.status,
    said.code ?? 'unknown',
    said.title ?? `The answer was ${response.status}`,
    said.detail ?? '',
    said.errors ?? [],
    said.request_id ?? response.headers.get('x-request-id') ?? '',
    Number.isFinite(wait) && wait > 0 ? wait : null,
  );
}
