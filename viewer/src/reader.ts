// The reader's view of one case: it joins images, session, lists and keys.
import { api, download, type CaseEntry, type Click, type Lesion, type Voxel } from './api'
import { alertReader, messageOf } from './alerts'
import { byId, make } from './dom'
import { showDownloads } from './downloads'
import type { Grid } from './grid'
import { placePlanes } from './layout'
import { look } from './look'
import { Mip } from './mip'
import { drawOverlay } from './overlay'
import { markLesion, showClicks, showLesions } from './panels'
import { listen } from './pointer'
import { Session, type Known } from './session'
import { settings } from './settings'
import { AXES, Slices, type Plane } from './slices'
import { showStatus } from './status'

export class Reader {
  private entry: CaseEntry | null = null
  private session: Session | null = null
  private readonly slices = new Slices()
  private readonly overlay = byId<HTMLCanvasElement>('overlay')
  private readonly mip: Mip
  private attached: Promise<void> | null = null
  private drawing = 0
  private opening = new AbortController() // of the case on show; aborted when it is left

  constructor() {
    this.mip = new Mip(
      byId<HTMLCanvasElement>('mip'),
      (voxel) => this.jump(voxel),
      () => settings.set({ rotating: false }),
    )
    byId('again').addEventListener('click', () => {
      if (this.entry) void this.open(this.entry, this.slices.grid ? look.get().cursor : null)
    })
  }

  /** Makes NiiVue ready, which takes a second or two of compiling; meanwhile requests are on their way. */
  private async attach(): Promise<void> {
    const canvas = byId<HTMLCanvasElement>('slices')
    if (!document.createElement('canvas').getContext('webgl2')) {
      throw new Error('This browser has no WebGL 2, which draws the images: try another one, or its settings.')
    }
    await this.slices.attachToCanvas(canvas, false)
    canvas.addEventListener('webglcontextlost', () => {
      alertReader('The graphics card has given up: load the page again. Clicks are kept.')
    })
    this.slices.afterDraw = () => this.drawOverlay()
    listen(this.overlay, this.slices, () => look.get().cursor, {
      click: (voxel, label) => this.addClick(voxel, label),
      look: (voxel) => look.set({ cursor: voxel, click: null, lesion: null }),
      scroll: (plane, slices) => this.step(plane, 'through', slices),
      enter: (plane) => look.set({ plane }),
      looksOnly: () => look.get().looksOnly,
    })
    new ResizeObserver(() => this.arrange()).observe(byId('planes'))
    settings.watch((now, before) => {
      const painted = ['shown', 'petColors', 'petShare', 'suvLow', 'suvHigh', 'ctWindow'] as const
      if (painted.some((key) => now[key] !== before[key])) this.slices.paint(now)
      this.redraw()
    })
    look.watch((now, before) => {
      if (now.layout !== before.layout) this.arrange()
      if (now.cursor !== before.cursor) this.slices.lookAt(now.cursor)
      if (now.lesion !== before.lesion) markLesion(now.lesion)
      if (now.click !== before.click) this.listClicks()
      this.redraw()
    })
  }

  /** Opens a case: its session begins to compute while its images are on their way; planes go through voxel `at`. */
  async open(entry: CaseEntry, at: Voxel | null = null): Promise<void> {
    this.leave()
    this.entry = entry
    const { signal } = this.opening
    const loading = byId('loading')
    loading.hidden = false
    loading.textContent = 'Opening the case …'
    document.title = `${entry.name} – LesionClick`
    try {
      const opened = api.openSession(entry.id)
      const shares = [0, 0]
      const files = ['ct', 'pet'].map((name, index) =>
        download(`cases/${encodeURIComponent(entry.id)}/${name}.nii.gz`, signal, (share) => {
          shares[index] = share
          loading.textContent = `Loading images, ${Math.round(50 * ((shares[0] ?? 0) + (shares[1] ?? 0)))} % …`
        }),
      )
      const images = Promise.all(files)
      images.catch(() => {}) // said below, once it is its turn
      const state = await opened
      if (signal.aborted) return
      this.follow(new Session(state))
      await (this.attached ??= this.attach())
      const [ct, pet] = await images
      if (!ct || !pet) return
      const volumes = await this.slices.read(ct, pet)
      if (signal.aborted) return
      this.begin(this.slices.show(volumes), at)
      loading.hidden = true
    } catch (error) {
      if (signal.aborted) return
      loading.textContent = `The case could not be opened. ${messageOf(error)}`
      byId('again').hidden = false
    }
  }

  /** Takes everything of the case off the page, so that nothing of it is taken for another's. */
  leave(): void {
    this.opening.abort()
    this.opening = new AbortController()
    this.session?.close()
    this.session = null
    this.slices.clear()
    this.mip.clear()
    this.show(null)
    this.redraw()
  }

  private follow(session: Session): void {
    this.session = session
    session.known.watch((now, before) => this.show(now, before))
  }

  /** What is known of the session: lists, words, and, with the next frame, what lies on the images. */
  private show(now: Known | null, before: Known | null = null): void {
    const first = !now || now === before
    showStatus(now)
    showDownloads(now?.state ?? null)
    if (first || now.state.revision !== before?.state.revision) this.listClicks()
    const note = noteOn(now)
    if (first || now.lesions !== before?.lesions || note !== noteOn(before)) {
      const selected = before?.lesions?.lesions.find((lesion) => lesion.number === look.get().lesion)
      showLesions(now?.lesions ?? null, note, (lesion) => this.jumpToLesion(lesion))
      // numbers go by volume: after a change the same place may have another one
      const same = now?.lesions?.lesions.find((lesion) => selected && isAt(lesion, selected))
      look.set({ lesion: same?.number ?? null })
      markLesion(look.get().lesion)
    }
    if (first || now.mask !== before?.mask || now.state.revision !== before.state.revision) this.redraw()
  }

  private begin(grid: Grid, at: Voxel | null): void {
    look.set({ cursor: at && grid.contains(at) ? at : grid.middle(), click: null, lesion: null })
    this.slices.paint(settings.get())
    this.slices.wholeImage()
    this.arrange()
    this.slices.lookAt(look.get().cursor)
    this.mip.load(grid, this.slices.petData())
    this.session?.showMasks(grid.dims)
    this.redraw()
  }

  addClick(voxel: Voxel = look.get().cursor, label: Click['label'] = 'tumor'): void {
    if (!this.slices.grid) return
    look.set({ cursor: voxel, click: null, lesion: null })
    this.session?.addClick(voxel, label)
  }

  get current(): Session | null {
    return this.session
  }

  deleteSelected(): void {
    const { click } = look.get()
    const clicks = this.session?.known.get().state.clicks ?? []
    if (clicks.some(({ id }) => id === click) && click !== null) this.session?.deleteClick(click)
    look.set({ click: null })
  }

  jump(voxel: Voxel): void {
    look.set({ cursor: voxel, click: null, lesion: null })
    this.slices.center(voxel)
  }

  jumpToLesion(lesion: Lesion): void {
    this.jump({ x: lesion.x, y: lesion.y, z: lesion.z })
    look.set({ lesion: lesion.number })
  }

  selectClick(click: Click): void {
    this.jump({ x: click.x, y: click.y, z: click.z })
    look.set({ click: click.id })
  }

  /** The lesion after, or before, the selected one. */
  cycleLesions(by: 1 | -1): void {
    const lesions = this.session?.known.get().lesions?.lesions ?? []
    const next = cycle(lesions, lesions.findIndex((lesion) => lesion.number === look.get().lesion), by)
    if (next) this.jumpToLesion(next)
  }

  cycleClicks(by: 1 | -1): void {
    const clicks = this.session?.known.get().state.clicks ?? []
    const next = cycle(clicks, clicks.findIndex((click) => click.id === look.get().click), by)
    if (next) this.selectClick(next)
  }

  /** Moves the crosshair along an axis of a plane: to the screen's right, up, or through (to head, front or right). */
  step(plane: Plane, axis: 'across' | 'up' | 'through', by: number): void {
    const { grid } = this.slices
    if (!grid) return
    const ras = grid.toRas(look.get().cursor)
    const mirrored = axis === 'across' ? -1 : 1 // right is on the left, and so is the front in the sagittal plane
    ras[AXES[plane][axis]] += by * mirrored
    look.set({ cursor: grid.fromRas(grid.clampRas(ras)), click: null, lesion: null })
  }

  /** Where a voxel's center lies on the page, in CSS pixels; null where the plane is not shown. */
  pixelOf(plane: Plane, voxel: Voxel): [number, number] | null {
    const tile = this.slices.tiles().find((shown) => shown.plane === plane)
    if (!tile || !this.slices.grid) return null
    const box = this.overlay.getBoundingClientRect()
    const scale = this.overlay.width / Math.max(box.width, 1)
    const [x, y] = tile.toPixel(this.slices.grid.toRas(voxel))
    return [box.left + x / scale, box.top + y / scale]
  }

  zoom(factor: number): void {
    this.slices.zoom(factor, look.get().cursor)
  }

  wholeImage(): void {
    this.slices.wholeImage()
  }

  turn(steps: number): void {
    settings.set({ rotating: false })
    this.mip.turnBy(steps)
  }

  private arrange(): void {
    const { layout } = look.get()
    byId('reader').dataset['layout'] = layout
    const box = byId('planes')
    const { grid } = this.slices
    if (!grid || !box.clientWidth || !box.clientHeight) return
    this.slices.resizeListener()
    this.slices.arrange(placePlanes(layout, grid, box.clientWidth, box.clientHeight))
  }

  private listClicks(): void {
    showClicks(this.session?.known.get().state.clicks ?? [], look.get().click, {
      selectClick: (click) => this.selectClick(click),
      deleteClick: (click) => this.session?.deleteClick(click.id),
    })
  }

  /** Draws what lies on the images, once a frame however much has changed. */
  private redraw(): void {
    if (this.drawing) return
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0
      this.drawOverlay()
      this.mip.show(this.scene())
      this.readOut()
    })
  }

  private scene() {
    const { grid } = this.slices
    if (!grid || !this.session) return null
    const { state, mask } = this.session.known.get()
    const { cursor, click, plane } = look.get()
    return { grid, cursor, plane, mask, clicks: state.clicks, selected: click, settings: settings.get() }
  }

  private drawOverlay(): void {
    drawOverlay(this.overlay, this.slices, this.scene())
  }

  private readOut(): void {
    const { cursor } = look.get()
    const values = this.slices.values(cursor)
    const place = `voxel ${cursor.x}, ${cursor.y}, ${cursor.z}`
    const parts = values ? [place, `SUV ${values.suv.toFixed(2)}`, `${Math.round(values.hu)} HU`] : []
    byId('readout').replaceChildren(...parts.map((part) => make('span', {}, part.replace('-', '−'))))
  }
}

/** What has to be said of the lesions on show; empty where they are those of the clicks that count, and final. */
function noteOn(known: Known | null): string {
  if (!known?.lesions) return ''
  const { mask } = known.lesions
  if (mask.revision !== known.state.revision) return 'before the last change'
  return mask.final ? '' : 'so far'
}

function isAt(a: Voxel, b: Voxel): boolean {
  return a.x === b.x && a.y === b.y && a.z === b.z
}

function cycle<T>(all: readonly T[], at: number, by: 1 | -1): T | undefined {
  if (at < 0) return all[by > 0 ? 0 : all.length - 1]
  return all[(at + by + all.length) % all.length]
}
