// Which key does what; help.ts says it to the reader.
import { toggleHelp } from './help'
import type { KeyActions } from './keys'
import { look } from './look'
import type { Reader } from './reader'
import type { Plane } from './slices'
import { CT_WINDOWS, PET_COLORS, settings, SHOWN, type CtWindow } from './settings'

const FAR = 5 // voxels that Shift makes of one

export function keyActions(reader: Reader): KeyActions {
  const move = (axis: 'across' | 'up' | 'through', by: number) => (event: KeyboardEvent) =>
    reader.step(look.get().plane, axis, by * (event.shiftKey ? FAR : 1))
  const both = (key: string, action: (event: KeyboardEvent) => void): KeyActions => ({
    [key]: action,
    [`Shift+${key}`]: action,
  })
  const alone = (layout: Plane | 'mip') => () => {
    const next = look.get().layout === layout ? 'all' : layout
    look.set(layout === 'mip' ? { layout: next } : { layout: next, plane: layout })
  }
  const toggle = (key: 'mask' | 'outline' | 'rotating') => () => settings.set({ [key]: !settings.get()[key] })
  const after = <T>(all: readonly T[], now: T): T => all[(all.indexOf(now) + 1) % all.length] ?? now
  const widen = (factor: number) => () => {
    const { suvLow, suvHigh } = settings.get()
    settings.set({ suvHigh: Math.max(suvLow + 0.5, Math.min(100, Math.round(suvHigh * factor * 2) / 2)) })
  }
  return {
    t: () => reader.addClick(undefined, 'tumor'),
    b: () => reader.addClick(undefined, 'background'),
    'Ctrl+z': () => reader.current?.undo(),
    'Ctrl+Shift+z': () => reader.current?.redo(),
    'Ctrl+y': () => reader.current?.redo(),
    Delete: () => reader.deleteSelected(),
    Backspace: () => reader.deleteSelected(),
    n: () => reader.cycleLesions(1),
    'Shift+n': () => reader.cycleLesions(-1),
    c: () => reader.cycleClicks(1),
    'Shift+c': () => reader.cycleClicks(-1),
    ...both('ArrowLeft', move('across', -1)),
    ...both('ArrowRight', move('across', 1)),
    ...both('ArrowUp', move('up', 1)),
    ...both('ArrowDown', move('up', -1)),
    ...both('PageUp', move('through', 1)),
    ...both('PageDown', move('through', -1)),
    '1': alone('axial'),
    '2': alone('coronal'),
    '3': alone('sagittal'),
    '4': alone('mip'),
    Escape: () => look.set({ layout: 'all' }),
    '+': () => reader.zoom(1.25),
    '=': () => reader.zoom(1.25),
    '-': () => reader.zoom(1 / 1.25),
    '0': () => reader.wholeImage(),
    l: () => look.set({ looksOnly: !look.get().looksOnly }),
    f: () => settings.set({ shown: after(SHOWN, settings.get().shown) }),
    i: () => settings.set({ petColors: after(PET_COLORS, settings.get().petColors) }),
    w: () => settings.set({ ctWindow: after(Object.keys(CT_WINDOWS) as CtWindow[], settings.get().ctWindow) }),
    '[': widen(0.8),
    ']': widen(1.25),
    m: toggle('mask'),
    o: toggle('outline'),
    r: toggle('rotating'),
    '?': toggleHelp,
  }
}
