// One answer of the daemon as state of a component.

import { useCallback, useEffect, useLayoutEffect, useState } from 'preact/hooks'
import { ApiError, get, type Parameters } from './api'

export interface Resource<T> {
  value: T | undefined
  error: ApiError | undefined
  reload: () => void
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, 'internal', String(error))
}

/** Asks again when path or parameters change, and every `every` milliseconds; a page in the background does not ask.
 * What it asks is on its way before the browser draws: an effect would wait for that. */
export function useResource<T>(path: string | undefined, parameters: Parameters = {}, every = 0, bearer?: string): Resource<T> {
  const [state, setState] = useState<{ value?: T; error?: ApiError }>({})
  const [turn, setTurn] = useState(0)
  const key = JSON.stringify([path, parameters, bearer])
  useLayoutEffect(() => setState((old) => (old.error ? {} : old)), [key])
  useLayoutEffect(() => {
    if (path === undefined) return
    const stop = new AbortController()
    get<T>(path, parameters, stop.signal, bearer).then(
      (value) => setState({ value }),
      (error: unknown) => {
        if (!stop.signal.aborted) setState((old) => ({ ...old, error: asApiError(error) }))
      },
    )
    return () => stop.abort()
  }, [key, turn])
  const reload = useCallback(() => setTurn((n) => n + 1), [])
  useEffect(() => {
    if (every === 0) return
    const timer = setInterval(() => document.visibilityState === 'visible' && reload(), every)
    return () => clearInterval(timer)
  }, [every])
  return { value: state.value, error: state.error, reload }
}
