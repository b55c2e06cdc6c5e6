// The mouse on the planes: a click corrects, a drag moves the crosshair, the wheel scrolls and zooms.
import type { Label, Voxel } from './api'
import type { Triple } from './grid'
import { AXES, type Plane, type Slices, type Tile } from './slices'

export interface PointerActions {
  click(voxel: Voxel, label: Label): void
  look(voxel: Voxel): void // moves the crosshair there
  scroll(plane: Plane, slices: number): void
  enter(plane: Plane): void
  looksOnly(): boolean // no clicks are set, whatever the button
}

const DRAG_PIXELS = 4 // less is a click by a hand that is not quite still

export function listen(canvas: HTMLCanvasElement, slices: Slices, cursor: () => Voxel, actions: PointerActions): void {
  let drag: { x: number; y: number; tile: Tile; button: number; background: boolean; look: boolean; moved: boolean } | null = null
  let wheel = 0

  const position = (event: MouseEvent): [number, number] => {
    const box = canvas.getBoundingClientRect()
    const scale = canvas.width / Math.max(box.width, 1)
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]
  }
  const tileAt = ([x, y]: [number, number]) =>
    slices.tiles().find(({ pane }) => x >= pane.left && y >= pane.top && x < pane.right && y < pane.bottom)

  /** The voxel under a pixel; null outside of the image, or the nearest one in it where `nearest`. */
  const voxelAt = (tile: Tile, [x, y]: [number, number], nearest = false): Voxel | null => {
    const { grid } = slices
    if (!grid) return null
    const ras = tile.toRas(x, y).map(Math.round) as Triple
    ras[AXES[tile.plane].through] = grid.toRas(cursor())[AXES[tile.plane].through]
    const inside = grid.clampRas(ras)
    return nearest || inside.every((at, axis) => at === ras[axis]) ? grid.fromRas(inside) : null
  }

  canvas.addEventListener('pointerdown', (event) => {
    const at = position(event)
    const tile = tileAt(at)
    if (!tile) return
    event.preventDefault()
    canvas.focus({ preventScroll: true })
    canvas.setPointerCapture(event.pointerId)
    const look = event.altKey || actions.looksOnly()
    const background = event.button === 2 || event.shiftKey || event.ctrlKey // Ctrl + click is a Mac's right click
    drag = { x: at[0], y: at[1], tile, button: event.button, background, look, moved: false }
    actions.enter(tile.plane)
  })

  canvas.addEventListener('pointermove', (event) => {
    const at = position(event)
    if (!drag) {
      const tile = tileAt(at)
      if (tile) actions.enter(tile.plane)
      return
    }
    const scale = canvas.width / Math.max(canvas.clientWidth, 1)
    if (!drag.moved && Math.hypot(at[0] - drag.x, at[1] - drag.y) < DRAG_PIXELS * scale) return
    drag.moved = true
    if (drag.button === 0 && !drag.background) {
      const voxel = voxelAt(drag.tile, at, true)
      if (voxel) actions.look(voxel)
    } else if (slices.grid) {
      const [before, after] = [drag.tile.toRas(drag.x, drag.y), drag.tile.toRas(...at)]
      const spacing = slices.grid.spacingRAS
      slices.pan(after.map((k, axis) => (k - (before[axis] ?? 0)) * (spacing[axis] ?? 1)) as Triple)
      ;[drag.x, drag.y] = at
      drag.tile = slices.tiles().find((tile) => tile.plane === drag?.tile.plane) ?? drag.tile
    }
  })

  canvas.addEventListener('pointerup', () => {
    const done = drag
    drag = null
    if (!done || done.moved) return
    const voxel = voxelAt(done.tile, [done.x, done.y])
    if (!voxel) return
    if (done.look || done.button === 1) actions.look(voxel)
    else actions.click(voxel, done.background ? 'background' : 'tumor')
  })
  canvas.addEventListener('pointercancel', () => (drag = null))
  canvas.addEventListener('contextmenu', (event) => event.preventDefault())

  canvas.addEventListener(
    'wheel',
    (event) => {
      const tile = tileAt(position(event))
      if (!tile) return
      event.preventDefault()
      if (event.ctrlKey || event.metaKey) {
        slices.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, voxelAt(tile, position(event), true) ?? cursor())
        return
      }
      wheel += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY / 50 : event.deltaY / 3
      const whole = Math.trunc(wheel) // a mouse's notch is one or two slices, a touch pad adds up
      wheel -= whole
      if (whole) actions.scroll(tile.plane, -Math.sign(whole) * Math.min(Math.abs(whole), 5))
    },
    { passive: false },
  )
}
