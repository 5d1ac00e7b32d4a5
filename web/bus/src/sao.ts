// custom.js for Tryton's web client: SAO loads a script of that name after its own, and the package ships none.
//
// SAO holds a long poll in each tab, and a browser opens six connections to an origin that speaks HTTP/1.1: the seventh tab hangs. This
// replaces the poll by the bus. A notification for the user is shown by one tab, one for a client by the tab that it is meant for. Where the
// bus does not accept the session, SAO polls as before.
//
// To the bus a user is `<id>@<database>`, with the channel `user:<id>@<database>`; `client:<uuid>@<database>` is a tab. The token is what SAO
// sends to trytond, with the database before it. A session that has ended is renewed in the tab whose user works on: the others find its key
// in SAO's local storage.
import { Bus, type Handler, type Position, type Subscription } from './bus'

interface Login {
  login: string
  user_id: number
  /** The key; null when it ended and was not renewed. */
  session: string | null
}

interface Session extends Login {
  database: string
  get_auth(): string
}

interface Sao {
  Session: { current_session: Session | null; prototype: { do_logout(...rest: unknown[]): unknown } }
  Bus: { id: string; channels: string[]; listen(...rest: unknown[]): void; handle(message: unknown): void }
  common: { uuid4(): string }
}

declare const BUS_VERSION: string
declare const Sao: Sao

const poll = Sao.Bus.listen
const logout = Sao.Session.prototype.do_logout
let bus: Bus | undefined
let subscriptions: Subscription[] = []
let listening: Session | undefined
let key: string | undefined
let polling = false
/** Where this tab is in its channels, over a renewal of the session. */
const positions = new Map<string, Position>()

function close(): void {
  for (const { channel, position } of subscriptions) if (position) positions.set(channel, position)
  bus?.close()
  subscriptions = []
  bus = listening = key = undefined
  polling = false
}

/** The newest key of that login: of this tab, or of another one that has renewed it. */
function newest(session: Session, database: string): string {
  const kept = JSON.parse(localStorage.getItem(`sao_session_${database}`) ?? 'null') as Login | null
  const { login, user_id } = session
  return kept?.session && kept.login === login && kept.user_id === user_id ? session.get_auth.call(kept) : session.get_auth()
}

function open(session: Session): Bus {
  const { database, user_id } = session
  const user = `${user_id}@${database}`
  const token = () => `Session ${database} ${newest(session, database)}`
  const made = new Bus({ url: '/bus/ws', database, user, token, worker: `/bus/bus.worker-${BUS_VERSION}.js` })
  const subscribe = (name: string, handle: Handler) => {
    const channel = `${name}@${database}`
    subscriptions.push(made.subscribe(channel, handle, { since: positions.get(channel) }))
  }
  const handle: Handler = ({ data }) => {
    if (Sao.Session.current_session === session) Sao.Bus.handle(data)
  }
  subscribe(`user:${user_id}`, made.once(handle))
  for (const channel of Sao.Bus.channels) subscribe(channel, handle)
  made.on('closed', () => {
    polling = Sao.Session.current_session === session
    if (polling) poll.call(Sao.Bus)
  })
  return made
}

/** SAO calls it after each login and each renewal of a session, also one that failed, and, where it polls, after each poll. */
Sao.Bus.listen = (...rest) => {
  const session = Sao.Session.current_session
  if (!session?.session) return
  const auth = session.get_auth()
  if (session !== listening || auth !== key) {
    close()
    listening = session
    key = auth
    bus = open(session)
  } else if (polling) {
    poll.apply(Sao.Bus, rest)
  }
}

/** Who logs in next in this tab is another client: messages for the one before are not his. */
function rename(): void {
  const before = `client:${Sao.Bus.id}`
  Sao.Bus.id = Sao.common.uuid4()
  Sao.Bus.channels = Sao.Bus.channels.map((channel) => (channel === before ? `client:${Sao.Bus.id}` : channel))
  positions.clear()
}

Sao.Session.prototype.do_logout = function (...rest) {
  close()
  rename()
  return logout.apply(this, rest)
}
