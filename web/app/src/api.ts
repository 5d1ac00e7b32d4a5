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

export function get<T>(path: string, parameters?: Parameters, stop?: AbortSignal): Promise<T> {
  return request<T>('GET', address(path, parameters), undefined, stop)
}

export function report<R = Row>(name: string, parameters?: Parameters, stop?: AbortSignal): Promise<Report<R>> {
  return get<Report<R>>(`/api/perf/${name}`, parameters, stop)
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

async function request<T>(method: string, url: string, body?: unknown, stop?: AbortSignal): Promise<T> {
  const answer = await send(method, url, body, stop)
  if (answer.status === 204) return undefined as T
  const text = await answer.text()
  if (answer.ok) return JSON.parse(text) as T
  const error = errorOf(answer.status, text)
  // A page asks before it is known who reads it, and a session may end at any moment; either way the reader is asked to sign in.
  if (answer.status === 401 && url !== '/api/session') await loadSession().catch(() => undefined)
  throw error
}

async function send(method: string, url: string, body: unknown, stop?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  if (session.value?.csrf) headers['X-Headroom-CSRF'] = session.value.csrf
  const options: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' }
  if (body !== undefined) options.body = body instanceof JsonText ? body.text : JSON.stringify(body)
  if (stop) options.signal = stop
  try {
    return await fetch(url, options)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'unavailable', 'headroom serve does not answer; is it running?')
  }
}

function errorOf(status: number, text: string): ApiError {
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } }
    return new ApiError(status, error.code, error.message)
  } catch {
    return new ApiError(status, 'internal', `the daemon answered with status ${status} and no explanation`)
  }
}
