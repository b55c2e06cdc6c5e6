// One case's session as the page knows it: the server's state, the newest mask and the lesions of it. Changes are sent
// one after another, in the reader's order; what comes of them arrives as events.
import { api, ApiError, type Label, type LesionTable, type SessionState, type Voxel } from './api'
import { alertError } from './alerts'
import { follow } from './events'
import type { Triple } from './grid'
import { fetchMask } from './mask'
import { Store } from './store'

export interface Known {
  state: SessionState
  mask: Uint8Array | null
  maskVersion: number // of the mask above
  lesions: LesionTable | null
  connected: boolean
  gone: string | null // why the server has no such session any more
}

export class Session {
  readonly known: Store<Known>
  private dims: Triple | null = null
  private lesionsVersion = 0 // of the mask whose lesions are known
  private fetching = false
  private closed = false
  private sending: Promise<void> = Promise.resolve()
  private readonly stop: () => void

  constructor(state: SessionState) {
    this.known = new Store<Known>({ state, mask: null, maskVersion: 0, lesions: null, connected: true, gone: null })
    this.stop = follow(state.id, {
      state: (news, first) => this.take(news, first),
      connected: (connected) => this.learn({ connected }),
      gone: (gone) => this.learn({ gone }),
    })
  }

  /** Nothing is told any more: an answer that is still on its way must not appear under another case's name. */
  close(): void {
    this.closed = true
    this.stop()
  }

  /** Masks are fetched from now on, for a grid of these dimensions. */
  showMasks(dims: Triple): void {
    this.dims = dims
    void this.refresh()
  }

  addClick(voxel: Voxel, label: Label): void {
    this.send('The click was not set', (id) => api.addClick(id, voxel, label))
  }

  deleteClick(click: number): void {
    this.send('The click was not deleted', (id) => api.deleteClick(id, click))
  }

  undo(): void {
    this.send('Nothing was undone', api.undo)
  }

  redo(): void {
    this.send('Nothing was done again', api.redo)
  }

  clear(): void {
    this.send('The clicks were not removed', api.clear)
  }

  private send(failure: string, request: (id: string) => Promise<SessionState>): void {
    this.sending = this.sending.then(async () => {
      try {
        this.take(await request(this.known.get().state.id))
      } catch (error) {
        alertError(error, failure)
      }
    })
  }

  private learn(news: Partial<Known>): void {
    if (!this.closed) this.known.set(news)
  }

  /**
   * An answer and an event may cross on their way: what is older than what is known is left out. The first event of a
   * connection is not, unless its clicks are older: a server that was started anew may have no mask yet.
   */
  private take(news: SessionState, first = false): void {
    const { state } = this.known.get()
    const older = news.revision < state.revision
    if (older || (!first && news.revision === state.revision && news.mask.version < state.mask.version)) return
    this.learn({ state: news })
    void this.refresh()
  }

  /** Fetches the newest mask and then its lesions, one at a time; versions that were passed meanwhile are skipped. */
  private async refresh(): Promise<void> {
    if (this.fetching) return
    this.fetching = true
    try {
      while (this.dims && !this.closed) {
        const { state, maskVersion } = this.known.get()
        const { version } = state.mask
        if (version && version !== maskVersion) {
          const mask = await fetchMask(state.id, version, this.dims)
          this.learn({ mask, maskVersion: version })
        } else if (version && version !== this.lesionsVersion) {
          const lesions = await api.lesions(state.id)
          this.lesionsVersion = version
          this.learn({ lesions })
        } else return
      }
    } catch (error) {
      // no answer: the line of status says so, and the next event begins anew; 404: there is no mask after all
      if (!this.closed && !(error instanceof ApiError && [0, 404].includes(error.status))) alertError(error)
    } finally {
      this.fetching = false
    }
  }
}
