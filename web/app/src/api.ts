// Talking to the daemon: docs/api.md says what it answers.

import { signal } from './signal'

export type Cell = string | number | null
export type Row = Record<string, Cell>

export interface Column {
  name: string
  format: 'text' | 'count' | 'seconds' | 'time' | 'bytes' | 'number' | 'ratio'
}

export interface Report<R = Row> {
  columns: Column[]
  rows: R[]
  total: number
  offset: number
  limit: number
  note?: string
  text?: string
}

export interface Session {
  signed_in: boolean
  required: boolean
  user?: string | null
  role?: 'administrator' | 'viewer' | null
  csrf?: string | null
  /** The ways to sign in that are configured. */
  with?: ('token' | 'password')[]
}

export type Parameters = Record<string, string | number | undefined | null>

class JsonText {
  constructor(readonly text: string) {}
}

/** What went wrong, in one line that says what to do; `status` 0 when the daemon did not answer at all. */
export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message)
  }
}

/** Who looks at the pages; undefined until the daemon has told. */
export const session = signal<Session | undefined>(undefined)

/** The address of a resource; parameters without a value are left out. */
export function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== '') query.set(name, String(value))
  }
  const text = query.toString()
  return text ? `${path}?${text}` : path
}

/** With `bearer` the token of an application's user is the proof, and whoever is signed in here does not matter. */
export function get<T>(path: string, parameters?: Parameters, stop?: AbortSignal, bearer?: string): Promise<T> {
  return request<T>('GET', address(path, parameters), undefined, stop, bearer)
}

export function post<T>(path: string, body: unknown): Promise<T> {
  return request<T>('POST', path, body)
}

/** A body that is JSON already, and is sent as it is. */
export function postText<T>(path: string, text: string): Promise<T> {
  return request<T>('POST', path, new JsonText(text))
}

export function remove(path: string): Promise<void> {
  return request<void>('DELETE', path)
}

/** Asks who is signed in. */
export async function loadSession(): Promise<void> {
  session.set(await get<Session>('/api/session'))
}

export async function signIn(answer: { token: string } | { user: string; password: string }): Promise<void> {
  await post('/api/session', answer)
  await loadSession()
}

export async function signOut(): Promise<void> {
  await remove('/api/session')
  await loadSession()
}

/** Whether the reader may change rules; the daemon decides again with every change. */
export function mayChange(who: Session | undefined): boolean {
  return who?.signed_in === true && who.role === 'administrator'
}

/** Whether the reader may see what the application says: bodies, values, messages. */
export function mayRead(who: Session | undefined): boolean {
  return who !== undefined && who.role !== 'viewer'
}

/** Asks before anything is drawn, so that the first picture has the answer; whoever gets that address next is given it, once. */
export function askEarly(url: string): Promise<unknown> {
  const answer = send('GET', url)
  answer.catch(() => undefined) // told to the one who gets it
  early.set(url, answer)
  return answer
}

const early = new Map<string, Promise<Answer>>()

function earlyAnswer(method: string, url: string): Promise<Answer> | undefined {
  const answer = method === 'GET' ? early.get(url) : undefined
  early.delete(url)
  return answer
}

interface Answer {
  status: number
  text: string
}

async function request<T>(method: string, url: string, body?: unknown, stop?: AbortSignal, bearer?: string): Promise<T> {
  const { status, text } = await (earlyAnswer(method, url) ?? send(method, url, body, stop, bearer))
  if (status === 204) return undefined as T
  if (status >= 200 && status < 300) return JSON.parse(text) as T
  const error = errorOf(status, text)
  // A page asks before it is known who reads it, and a session may end at any moment; either way the reader is asked to sign in.
  if (status === 401 && url !== '/api/session' && bearer === undefined) await loadSession().catch(() => undefined)
  throw error
}

// A request without a header of its own matches what the page preloads. The daemon says itself that its answers are not to be stored.
async function send(method: string, url: string, body?: unknown, stop?: AbortSignal, bearer?: string): Promise<Answer> {
  const headers: Record<string, string> = {}
  if (bearer !== undefined) headers['Authorization'] = `Bearer ${bearer}`
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  if (session.value?.csrf) headers['X-Headroom-CSRF'] = session.value.csrf
  const options: RequestInit = { method, headers, credentials: 'same-origin' }
  if (body !== undefined) options.body = body instanceof JsonText ? body.text : JSON.stringify(body)
  if (stop) options.signal = stop
  try {
    const answer = await fetch(url, options)
    return { status: answer.status, text: await answer.text() }
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'unavailable', 'headroom serve does not answer; is it running?')
  }
}

/** What an answer that is none says. */
export function errorOf(status: number, text: string): ApiError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } }
    return new ApiError(status, error.code, error.message)
  } catch {
    return new ApiError(status, 'internal', `the daemon answered with status ${status} and no explanation`)
  }
}
