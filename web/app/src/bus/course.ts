// The counts of the bus over time: what is asked for every other second becomes lines of a chart.

export interface BusStatus {
  broker: string
  available: boolean
  connections: number
  most_connections: number
  doors: { websocket: number; stream: number; poll: number }
  channels: number
  subscriptions: number
  users: number
  published: number
  messages: number
  deliveries: number
  delivered_bytes: number
  lost: number
  slow: number
  denied: number
  rate_limited: number
  malformed: number
  refused: number
}

/** Rates a second, at points in time (seconds). */
export interface Course {
  times: number[]
  messages: number[]
  deliveries: number[]
  last: { at: number; status: BusStatus } | undefined
}

export const noCourse: Course = { times: [], messages: [], deliveries: [], last: undefined }

/** How many points the chart holds. */
const POINTS = 180

/** The course after one more look. A counter that began anew, with the service, has no rate yet. */
export function advanceCourse(course: Course, status: BusStatus, at: number): Course {
  const { last } = course
  const now = { at, status }
  const span = last === undefined ? 0 : at - last.at
  if (last === undefined || span <= 0 || status.messages < last.status.messages || status.deliveries < last.status.deliveries) {
    return { ...course, last: now }
  }
  const kept = (list: number[], next: number) => [...list.slice(Math.max(0, list.length - POINTS + 1)), next]
  return {
    times: kept(course.times, at),
    messages: kept(course.messages, (status.messages - last.status.messages) / span),
    deliveries: kept(course.deliveries, (status.deliveries - last.status.deliveries) / span),
    last: now,
  }
}
