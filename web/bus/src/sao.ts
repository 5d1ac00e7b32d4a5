// custom.js for Tryton's web client: SAO loads a script of that name after its own, and the package ships none.
//
// SAO holds a long poll in each tab, and a browser opens six connections to an origin that speaks HTTP/1.1: the seventh tab hangs. This
// replaces the poll by the bus. A notification for the user is shown by one tab, one for a client by the tab that it is meant for. Where the
// bus does not accept the session, SAO polls as before.
//
// To the bus a user is `<id>@<database>`, with the channel `user:<id>@<database>`; `client:<uuid>@<database>` is a tab. The token is what SAO
// sends to trytond, with the database before it.
import { connect, type Bus } from './bus'

interface Session {
  database: string
  user_id: number
  get_auth(): string
}

interface Sao {
  Session: { current_session: Session | null; prototype: { do_logout(...rest: unknown[]): unknown } }
  Bus: { channels: string[]; listen(...rest: unknown[]): void; handle(message: unknown): void }
}

declare const BUS_VERSION: string
declare const Sao: Sao

const poll = Sao.Bus.listen
const logout = Sao.Session.prototype.do_logout
let bus: Bus | undefined
let listening: Session | undefined

function close(): void {
  bus?.close()
  bus = listening = undefined
}

function open(session: Session): Bus {
  const { database, user_id } = session
  const user = `${user_id}@${database}`
  const token = () => `Session ${database} ${session.get_auth()}`
  const made = connect({ url: '/bus/ws', database, user, token, worker: `/bus/bus.worker-${BUS_VERSION}.js` })
  const handle = ({ data }: { data: unknown }) => Sao.Session.current_session === session && Sao.Bus.handle(data)
  made.subscribe(`user:${user}`, made.once(handle))
  for (const channel of Sao.Bus.channels) made.subscribe(`${channel}@${database}`, handle)
  made.on('closed', () => Sao.Session.current_session === session && poll.call(Sao.Bus))
  return made
}

/** SAO calls it after each login and after each renewal of a session; a renewed one is the same object with another key. */
Sao.Bus.listen = () => {
  const session = Sao.Session.current_session
  if (!session || session === listening) return
  close()
  listening = session
  bus = open(session)
}

Sao.Session.prototype.do_logout = function (...rest) {
  close()
  return logout.apply(this, rest)
}
