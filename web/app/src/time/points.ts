// What a chart over time draws while it has hardly any points.

/** Seconds that a chart shows at least. */
export const LEAST = 30

export interface Points {
  times: number[]
  values: (number | null)[][]
}

/** Two points at least, `LEAST` seconds apart, those without values in front: of one point alone uPlot makes a whole day. */
export function padded(times: number[], values: number[][], now: number): Points {
  if (times.length > 1) return { times, values }
  const end = times[0] ?? now
  return { times: [end - LEAST, end], values: values.map((list) => [null, list[0] ?? null]) }
}
