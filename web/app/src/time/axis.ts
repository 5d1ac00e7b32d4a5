// Places calls of a session on an axis where a user's pauses take no room.
//
// A session is seconds of work between minutes of reading. On a straight axis every call is a dot; here a pause that is longer
// than `LONGEST_PAUSE` is drawn as long as that, and marked.

export interface Span {
  /** Seconds, from anywhere. */
  start: number
  length: number
}

export interface Break {
  /** Where the pause stands, as a part of the whole axis from 0 to 1. */
  at: number
  /** What was left out, in seconds. */
  hidden: number
}

export interface Axis {
  /** Seconds of axis. */
  length: number
  breaks: Break[]
  /** A time as a part of the axis from 0 to 1. */
  place: (time: number) => number
}

/** Pauses keep at most this part of the time that was worked. */
const PAUSE_PART = 0.05
const LEAST_PAUSE = 0.05

interface Piece {
  from: number
  to: number
  /** Where `from` stands on the axis. */
  at: number
}

/** The axis on which all spans lie. Cost: O(n log n). */
export function axisOf(spans: readonly Span[]): Axis {
  const pieces = merged(spans)
  const worked = pieces.reduce((sum, piece) => sum + piece.to - piece.from, 0)
  const longest = Math.max(LEAST_PAUSE, worked * PAUSE_PART)
  const breaks: Break[] = []
  let at = 0
  pieces.forEach((piece, n) => {
    const before = pieces[n - 1]
    if (before) {
      const pause = piece.from - before.to
      if (pause > longest) breaks.push({ at: at + longest / 2, hidden: pause - longest })
      at += Math.min(pause, longest)
    }
    piece.at = at
    at += piece.to - piece.from
  })
  const length = at || 1
  for (const one of breaks) one.at /= length
  return { length, breaks, place: (time) => placeOf(pieces, time) / length }
}

/** The times at which anything ran, as pieces that do not touch. */
function merged(spans: readonly Span[]): Piece[] {
  const ordered = [...spans].sort((a, b) => a.start - b.start)
  const pieces: Piece[] = []
  for (const { start, length } of ordered) {
    const last = pieces[pieces.length - 1]
    if (last && start <= last.to) last.to = Math.max(last.to, start + length)
    else pieces.push({ from: start, to: start + length, at: 0 })
  }
  return pieces
}

function placeOf(pieces: Piece[], time: number): number {
  let low = 0
  let high = pieces.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (pieces[middle]!.from <= time) low = middle
    else high = middle - 1
  }
  const piece = pieces[low]
  if (!piece) return 0
  return piece.at + Math.min(Math.max(time - piece.from, 0), piece.to - piece.from)
}
