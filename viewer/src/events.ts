// A session's changes as the server tells them: followed while the page is in view, again after every interruption.
import { address, api, ApiError, type SessionState } from './api'

export interface Follower {
  state(state: SessionState, first: boolean): void // `first`: of a connection, before which there may have been any change
  connected(open: boolean): void
  gone(reason: string): void // the server has no such session any more, or lets nobody in; nothing follows
}

const PAUSE = 2000 // ms before a server that refused is asked again

/** Tells the session's state at once and at each change, until the returned function is called. */
export function follow(session: string, follower: Follower): () => void {
  let events: EventSource | null = null
  let timer = 0
  let ended = false

  const close = () => {
    window.clearTimeout(timer)
    events?.close()
    events = null
  }

  const open = () => {
    close()
    const source = new EventSource(address(`sessions/${session}/events`))
    let first = true
    source.onopen = () => {
      first = true
      follower.connected(true)
    }
    source.addEventListener('state', (event) => {
      follower.state(JSON.parse(event.data as string) as SessionState, first)
      first = false
    })
    source.onerror = () => {
      follower.connected(false)
      if (source.readyState === EventSource.CLOSED) void askWhy() // else the browser tries again by itself
    }
    events = source
  }

  /** The server has refused, and an EventSource does not say why. */
  const askWhy = async () => {
    try {
      await api.state(session)
    } catch (error) {
      if (ended) return
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) {
        end()
        follower.gone(error.message)
        return
      }
    }
    if (!ended && !document.hidden) timer = window.setTimeout(open, PAUSE)
  }

  // a page out of sight takes none of the few connections that a browser opens to a server
  const whenSeen = () => (document.hidden ? close() : open())

  const end = () => {
    ended = true
    document.removeEventListener('visibilitychange', whenSeen)
    close()
  }

  document.addEventListener('visibilitychange', whenSeen)
  whenSeen()
  return end
}
