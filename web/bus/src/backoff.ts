// How long to wait before the next connection. Source: docs/protocols/bus.md, "Close codes".

export interface Wait {
  /** Milliseconds. */
  delay: number
  /** A new token is fetched first. */
  token?: boolean
  /** There is no next connection, and why. */
  never?: { code: string; message: string }
  /** The server chose the time: nothing may shorten it. */
  obeyed?: boolean
}

const LONGEST = 60_000

/** 1 s doubled to 60 s, each with a random half; `tries` counts the connections that failed since the last good one. */
export function growing(tries: number, random: () => number): number {
  const whole = Math.min(LONGEST, 1000 * 2 ** Math.min(tries, 6))
  return whole / 2 + (random() * whole) / 2
}

/** What follows from a close code and its reason. */
export function afterClose(code: number, reason: string, tries: number, random: () => number): Wait {
  let said: { code?: string; message?: string; reconnect?: { after_ms?: number; window_ms?: number } } = {}
  try {
    said = JSON.parse(reason) ?? {}
  } catch {
    // no reason of this protocol: the code alone decides
  }
  if (code >= 4200 && code < 4300) return { delay: 0, never: { code: said.code ?? String(code), message: said.message ?? '' } }
  const own = growing(tries, random)
  const token = code >= 4100 && code < 4200
  const window = code >= 4000 && code < 4200 ? said.reconnect : undefined
  if (!window) return { delay: own, token }
  const asked = (Number(window.after_ms) || 0) + random() * (Number(window.window_ms) || 0)
  // A source that gives a refused token again must not run in a circle.
  return { delay: token && tries > 1 ? Math.max(asked, own) : asked, token, obeyed: true }
}
