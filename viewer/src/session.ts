// One case's session as the page knows it: the server's state, the newest mask and the lesions of it. Changes are sent
// one after another, in the reader's order; what comes of them arrives as events.
import { api, ApiError, follow, type Label, type LesionTable, type SessionState, type Voxel } from './api'
import { alertError } from './alerts'
import type { Triple } from './grid'
import { fetchMask } from './mask'
import { Store } from './store'

export interface Known {
  state: SessionState
  mask: Uint8Array | null
  maskVersion: number // of the mask above
  lesions: LesionTable | null
  connected: boolean
}

export class Session {
  readonly known: Store<Known>
  private dims: Triple | null = null
  private fetching = false
  private sending: Promise<void> = Promise.resolve()
  private readonly stop: () => void

  constructor(state: SessionState) {
    this.known = new Store<Known>({ state, mask: null, maskVersion: 0, lesions: null, connected: true })
    this.stop = follow(
      state.id,
      (news) => this.take(news),
      (connected) => this.known.set({ connected }),
    )
  }

  close(): void {
    this.stop()
  }

  /** Masks are fetched from now on, for a grid of these dimensions. */
  showMasks(dims: Triple): void {
    this.dims = dims
    void this.refresh()
  }

  addClick(voxel: Voxel, label: Label): void {
    this.send((id) => api.addClick(id, voxel, label))
  }

  deleteClick(click: number): void {
    this.send((id) => api.deleteClick(id, click))
  }

  undo(): void {
    this.send((id) => api.undo(id))
  }

  redo(): void {
    this.send((id) => api.redo(id))
  }

  clear(): void {
    this.send((id) => api.clear(id))
  }

  private send(request: (id: string) => Promise<SessionState>): void {
    this.sending = this.sending.then(async () => {
      try {
        this.take(await request(this.known.get().state.id))
      } catch (error) {
        alertError(error)
      }
    })
  }

  /** An answer and an event may cross on their way: what is older than what is known is left out. */
  private take(news: SessionState): void {
    const { state } = this.known.get()
    const older = news.revision < state.revision
    if (news.id === state.id && (older || (news.revision === state.revision && news.mask.version < state.mask.version))) return
    this.known.set({ state: news })
    void this.refresh()
  }

  /** Fetches the newest mask and then its lesions, one at a time; versions that were passed meanwhile are skipped. */
  private async refresh(): Promise<void> {
    if (this.fetching || !this.dims) return
    this.fetching = true
    try {
      for (;;) {
        const { id, mask } = this.known.get().state
        if (!mask.version || mask.version === this.known.get().maskVersion) return
        const shown = await fetchMask(id, mask.version, this.dims)
        this.known.set({ mask: shown, maskVersion: mask.version })
        this.known.set({ lesions: await api.lesions(id) })
      }
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) alertError(error) // 404: there is none yet after all
    } finally {
      this.fetching = false
    }
  }
}
