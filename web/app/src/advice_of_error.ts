// What a page makes of an error of the daemon, whose messages are those of the command line too.

const ADVICE: Record<string, string> = {
  unavailable: 'Look whether headroom serve runs and its store can be read; the page tries again when you reload it.',
  timed_out: 'Narrow the question: a shorter time, one method.',
  denied: 'Administrators may: sign in as one.',
  unauthorized: 'Sign in first.',
  not_found: 'It may have been deleted, since the store keeps calls for a limited time.',
  invalid_argument: 'The address of this page names something that cannot be.',
}

/** What the reader may do; where the address itself is at fault, a page has a link to go on. */
export function adviceOf(code: string): string {
  return ADVICE[code] ?? 'The log of headroom serve may say more.'
}

/** Whether to ask again could not help. */
export function isFinal(code: string): boolean {
  return code === 'not_found' || code === 'invalid_argument'
}

/** The message without a last part that names a command: "...; 'headroom session' lists the sessions". */
export function withoutCommand(message: string): string {
  return message.replace(/; 'headroom [^']*' [^;]*$/, '')
}
