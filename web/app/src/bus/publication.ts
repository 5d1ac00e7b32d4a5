// What the form publishes.

/** What is wrong with it, or nothing. The daemon decides again. */
export function problemOf(channel: string, data: string): string | undefined {
  if (channel === '') return 'The name of a channel is missing.'
  if (data.trim() === '') return 'The data is missing: any JSON, such as {"type": "note"} or "a text".'
  try {
    JSON.parse(data)
  } catch (error) {
    return `The data is no JSON (a text stands in double quotes): ${error instanceof Error ? error.message : String(error)}`
  }
  return undefined
}

/** The body to send. The data stays as it was typed, since a number may be larger than JavaScript's. */
export function publicationText(channel: string, data: string, id: string): string {
  const named = id === '' ? '' : `,"id":${JSON.stringify(id)}`
  return `{"channel":${JSON.stringify(channel)},"data":${data}${named}}`
}
