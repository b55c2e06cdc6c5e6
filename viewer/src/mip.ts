// The rotating projection of PET with the mask and the clicks in it. A drag turns it, a click goes to the hottest voxel
// along that line of sight.
import type { Click, Voxel } from './api'
import type { Grid, Triple } from './grid'
import { alertReader } from './alerts'
import { petColor } from './colors'
import { COLORS, drawClick, FONT, write } from './marks'
import { LesionLayer } from './mip-lesions'
import type { Job } from './mip-worker'
import { coarsen, directions, inSpace, onScreen, screenOf, type Coarse, type Frame, type Screen } from './projection'
import type { Settings } from './settings'
import type { Scaled } from './slices'

const DIRECTIONS = 48
const TURN_MS = 9000 // one turn

export interface MipScene {
  grid: Grid
  cursor: Voxel
  clicks: readonly Click[]
  selected: number | null // id of a click
  mask: Uint8Array | null
  settings: Readonly<Settings>
}

export class Mip {
  private worker: Worker | null = null
  private coarse: Coarse | null = null
  private screen: Screen | null = null
  private frames: (Frame | undefined)[] = []
  private turn = 0 // of DIRECTIONS, a fraction while it rotates
  private timer = 0
  private scene: MipScene | null = null
  private readonly picture = document.createElement('canvas') // PET at its own resolution
  private readonly lesions = new LesionLayer()

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly onPick: (voxel: Voxel) => void,
    private readonly onDrag: () => void,
  ) {
    this.listen()
    new ResizeObserver(() => this.draw()).observe(canvas)
  }

  /** Begins to project a case's PET; directions appear as they are done. */
  load(grid: Grid, pet: Scaled): void {
    this.clear()
    const coarse = coarsen(grid, pet.data, pet.slope, pet.intercept)
    const screen = screenOf(coarse)
    this.coarse = coarse
    this.screen = screen
    this.turn = 0
    // the view from the front first, then every sixth, and so on: any angle soon has a neighbor
    const order = [6, 3, 1].flatMap((stride) => Array.from({ length: DIRECTIONS / stride }, (_, k) => k * stride))
    const unique = [...new Set(order)]
    const worker = new Worker(new URL('./mip-worker.ts', import.meta.url), { type: 'module' })
    this.worker = worker
    worker.onmessage = ({ data }: MessageEvent<{ index: number; frame: Frame }>) => {
      const direction = unique[data.index] ?? 0
      this.frames[direction] = data.frame
      if (data.index === 0 || Math.round(this.turn) % DIRECTIONS === direction) this.draw()
      if (data.index === unique.length - 1) worker.terminate()
    }
    worker.onerror = () => alertReader('The projection could not be computed in this browser.')
    const job: Job = { coarse, screen, angles: unique.map((k) => (2 * Math.PI * k) / DIRECTIONS) }
    worker.postMessage(job)
  }

  /** Takes the case off the canvas. */
  clear(): void {
    this.worker?.terminate()
    this.worker = null
    this.coarse = this.screen = this.scene = null
    this.frames = new Array<Frame | undefined>(DIRECTIONS)
    this.draw()
  }

  show(scene: MipScene | null): void {
    this.scene = scene
    const rotating = scene?.settings.rotating ?? false
    if (rotating && !this.timer) {
      this.timer = window.setInterval(() => {
        if (document.hidden || this.frames.includes(undefined)) return
        this.turn = (this.turn + 1) % DIRECTIONS
        this.draw()
      }, TURN_MS / DIRECTIONS)
    } else if (!rotating && this.timer) {
      window.clearInterval(this.timer)
      this.timer = 0
    }
    this.draw()
  }

  /** Turns by a number of directions, as keys do. */
  turnBy(steps: number): void {
    this.turn = (this.turn + steps + DIRECTIONS) % DIRECTIONS
    this.draw()
  }

  private get direction(): number {
    const wanted = Math.round(this.turn) % DIRECTIONS
    for (let off = 0; off <= DIRECTIONS / 2; off++) {
      for (const near of [wanted - off, wanted + off]) {
        const direction = (near + DIRECTIONS) % DIRECTIONS
        if (this.frames[direction]) return direction
      }
    }
    return 0
  }

  private get angle(): number {
    return (2 * Math.PI * this.direction) / DIRECTIONS
  }

  /** Where the frame lies in the canvas. */
  private place(): { left: number; top: number; perColumn: number; perRow: number } | null {
    if (!this.screen) return null
    const { width, height, step, rise } = this.screen
    const scale = Math.min(this.canvas.width / (width * step), this.canvas.height / (height * rise))
    return {
      left: (this.canvas.width - width * step * scale) / 2,
      top: (this.canvas.height - height * rise * scale) / 2,
      perColumn: step * scale,
      perRow: rise * scale,
    }
  }

  private draw(): void {
    const { canvas, coarse, screen } = this
    canvas.hidden = !this.scene // at once, and not when the graphics card gets to it: the name above is another one
    const pixels = window.devicePixelRatio || 1
    const [width, height] = [Math.round(canvas.clientWidth * pixels), Math.round(canvas.clientHeight * pixels)]
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
    const pen = canvas.getContext('2d')
    const place = this.place()
    const frame = this.frames[this.direction]
    if (!pen) return
    pen.clearRect(0, 0, width, height)
    if (!this.scene || !coarse || !screen || !place || !frame) return
    const { settings, grid, clicks, cursor } = this.scene
    const inverse = settings.petColors === 'inverse' || settings.shown === 'fusion'
    pen.fillStyle = inverse ? '#fff' : '#000'
    pen.fillRect(0, 0, width, height)
    this.paint(frame, screen, settings, inverse)
    const box = [place.left, place.top, screen.width * place.perColumn, screen.height * place.perRow] as const
    pen.imageSmoothingQuality = 'high'
    pen.drawImage(this.picture, ...box)
    if (settings.mask && this.scene.mask) {
      this.lesions.paint(this.scene.mask, grid, coarse, screen, this.angle, inverse)
      if (inverse) {
        pen.globalCompositeOperation = 'lighten' // dark uptake takes the color, and keeps its shape
        pen.drawImage(this.lesions.canvas, ...box)
        pen.globalCompositeOperation = 'source-over'
      }
      pen.globalAlpha = inverse ? 0.35 : 0.6
      pen.drawImage(this.lesions.canvas, ...box)
      pen.globalAlpha = 1
    }
    const at = (voxel: Voxel): [number, number] => {
      const mm = grid.toRas(voxel).map((k, axis) => (k + 0.5) * (grid.spacingRAS[axis] ?? 1)) as Triple
      const [column, row] = onScreen(coarse, screen, this.angle, mm)
      return [place.left + column * place.perColumn, place.top + row * place.perRow]
    }
    const [x, y] = at(cursor).map((place) => Math.round(place) + 0.5) as [number, number]
    pen.strokeStyle = inverse ? COLORS.crosshairOnLight : COLORS.crosshair
    pen.lineWidth = pixels
    pen.beginPath()
    for (const side of [-1, 1]) {
      pen.moveTo(x + side * 9 * pixels, y)
      pen.lineTo(side < 0 ? 0 : width, y)
      pen.moveTo(x, y + side * 9 * pixels)
      pen.lineTo(x, side < 0 ? 0 : height)
    }
    pen.stroke()
    for (const click of clicks) {
      drawClick(pen, ...at(click), click.label, pixels * 0.75, { selected: click.id === this.scene.selected })
    }
    this.drawLetters(pen, inverse, pixels)
  }

  /** From where we look, as letters at both sides; at most two of them where it is from between. */
  private drawLetters(pen: CanvasRenderingContext2D, light: boolean, pixels: number): void {
    const [x, y] = directions(this.angle).across
    const side = (x: number, y: number) => {
      const parts: [number, string][] = [
        [Math.abs(x), x < 0 ? 'L' : 'R'],
        [Math.abs(y), y < 0 ? 'P' : 'A'],
      ]
      parts.sort(([a], [b]) => b - a)
      return parts.flatMap(([share, letter]) => (share > 0.38 ? [letter] : [])).join('')
    }
    const middle = this.canvas.height / 2
    pen.font = `600 ${13 * pixels}px ${FONT}`
    pen.fillStyle = light ? COLORS.letterOnLight : COLORS.letter
    pen.textBaseline = 'middle'
    pen.textAlign = 'left'
    write(pen, side(-x, -y), 8 * pixels, middle, light, pixels)
    pen.textAlign = 'right'
    write(pen, side(x, y), this.canvas.width - 8 * pixels, middle, light, pixels)
    pen.font = `${11.5 * pixels}px ${FONT}`
    pen.textAlign = 'left'
    pen.textBaseline = 'top'
    write(pen, 'Maximum-intensity projection', 8 * pixels, 8 * pixels, light, pixels)
  }

  /** PET in gray or hot colors, one pixel of the frame a pixel of the picture. */
  private paint(frame: Frame, screen: Screen, settings: Readonly<Settings>, inverse: boolean): void {
    Object.assign(this.picture, { width: screen.width, height: screen.height })
    const pen = this.picture.getContext('2d')
    const image = pen?.createImageData(screen.width, screen.height)
    if (!pen || !image) return
    const range = settings.suvHigh - settings.suvLow
    const colors = TABLES[inverse ? 'inverse' : 'hot']
    const pixels = new Uint32Array(image.data.buffer)
    for (let k = 0; k < pixels.length; k++) {
      const level = ((frame.values[k] as number) - settings.suvLow) / range
      pixels[k] = colors[Math.min(Math.max(Math.round(255 * level), 0), 255)] as number
    }
    pen.putImageData(image, 0, 0)
  }

  private listen(): void {
    let from: { x: number; turn: number; moved: boolean } | null = null
    this.canvas.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return
      from = { x: event.clientX, turn: this.turn, moved: false }
      this.canvas.setPointerCapture(event.pointerId)
    })
    this.canvas.addEventListener('pointermove', (event) => {
      if (!from) return
      const moved = event.clientX - from.x
      if (!from.moved && Math.abs(moved) < 4) return
      if (!from.moved) this.onDrag()
      from.moved = true
      const turn = from.turn - (moved / Math.max(this.canvas.clientWidth, 1)) * (DIRECTIONS / 2)
      this.turn = ((turn % DIRECTIONS) + DIRECTIONS) % DIRECTIONS
      this.draw()
    })
    this.canvas.addEventListener('pointerup', (event) => {
      if (from && !from.moved) this.pick(event)
      from = null
    })
    this.canvas.addEventListener('pointercancel', () => (from = null))
    this.canvas.addEventListener('contextmenu', (event) => event.preventDefault())
  }

  private pick(event: PointerEvent): void {
    const { coarse, screen } = this
    const place = this.place()
    const frame = this.frames[this.direction]
    if (!coarse || !screen || !place || !frame || !this.scene) return
    const scale = this.canvas.width / Math.max(this.canvas.clientWidth, 1)
    const column = Math.floor((event.offsetX * scale - place.left) / place.perColumn)
    const row = Math.floor((event.offsetY * scale - place.top) / place.perRow)
    if (column < 0 || row < 0 || column >= screen.width || row >= screen.height) return
    const depth = frame.depths[row * screen.width + column] ?? 0
    const mm = inSpace(coarse, screen, this.angle, column, row, depth)
    const { grid } = this.scene
    this.onPick(grid.fromRas(grid.clampRas(mm.map((at, axis) => at / (grid.spacingRAS[axis] ?? 1) - 0.5) as Triple)))
  }
}

/** 256 opaque colors as a canvas has them in memory. */
function table(color: (level: number) => [number, number, number]): Uint32Array {
  const bytes = new Uint8ClampedArray(4 * 256)
  for (let k = 0; k < 256; k++) bytes.set([...color(k / 255), 255], 4 * k)
  return new Uint32Array(bytes.buffer)
}

const TABLES = {
  inverse: table((level) => petColor('inverse', level)),
  hot: table((level) => petColor('hot', level)),
}
