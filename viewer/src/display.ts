// The controls of how images are shown.
import { byId, capital, make } from './dom'
import { CT_WINDOWS, settings, type CtWindow, type Settings } from './settings'

type Key = keyof Settings

/** Fills the form and keeps it and the settings the same. */
export function buildDisplay(): void {
  const form = byId<HTMLFormElement>('display')
  form.addEventListener('submit', (event) => event.preventDefault())
  form.replaceChildren(
    choice('shown', 'Images', { fusion: 'Fusion', pet: 'PET', ct: 'CT' }),
    choice('petColors', 'PET colors', { hot: 'Hot', inverse: 'Inverse gray' }),
    range('petShare', 'PET share', ({ shown }) => shown === 'fusion'),
    suvWindow(),
    choice('ctWindow', 'CT window', Object.fromEntries(Object.keys(CT_WINDOWS).map((name) => [name, capital(name)])), (name) => {
      const { width, level } = CT_WINDOWS[name as CtWindow]
      return `Width ${width}, level ${level} HU`
    }),
    make(
      'div',
      { className: 'row', role: 'group', 'aria-label': 'Mask' },
      make('span', {}, 'Mask'),
      make('span', { className: 'checks' }, check('mask', 'Shown'), check('outline', 'Outline')),
    ),
    range('maskOpacity', 'Mask fill', ({ mask }) => mask),
  )
}

function choice(key: Key, title: string, names: Record<string, string>, hint: (value: string) => string = () => ''): HTMLElement {
  const group = make('span', { className: 'segments', role: 'group', 'aria-label': title })
  for (const [value, name] of Object.entries(names)) {
    const button = make('button', { type: 'button', title: hint(value) }, name)
    button.addEventListener('click', () => settings.set({ [key]: value } as Partial<Settings>))
    settings.watch((now) => button.setAttribute('aria-pressed', String(now[key] === value)))
    group.append(button)
  }
  return make('div', { className: 'row' }, make('span', {}, title), group)
}

/** A slider from 0 to 1, which can be moved where it changes what is seen. */
function range(key: 'petShare' | 'maskOpacity', title: string, matters: (now: Readonly<Settings>) => boolean): HTMLElement {
  const input = make('input', { type: 'range', min: '0', max: '1', step: '0.05' })
  input.addEventListener('input', () => settings.set({ [key]: Number(input.value) }))
  settings.watch((now) => Object.assign(input, { value: String(now[key]), disabled: !matters(now) }))
  return make('label', { className: 'row' }, make('span', {}, title), input)
}

function check(key: 'mask' | 'outline', title: string): HTMLElement {
  const input = make('input', { type: 'checkbox' })
  input.addEventListener('change', () => settings.set({ [key]: input.checked }))
  settings.watch((now) => (input.checked = now[key]))
  return make('label', { className: 'check' }, input, title)
}

function suvWindow(): HTMLElement {
  const limit = (key: 'suvLow' | 'suvHigh', title: string) => {
    const input = make('input', { type: 'number', min: '0', max: '100', step: '0.5', 'aria-label': title })
    input.addEventListener('change', () => {
      const value = Number(input.value)
      const { suvLow, suvHigh }: Settings = { ...settings.get(), [key]: value }
      if (input.value !== '' && suvLow >= 0 && suvHigh > suvLow) settings.set({ [key]: value })
      input.value = String(settings.get()[key])
    })
    settings.watch((now) => (input.value = String(now[key])))
    return input
  }
  return make(
    'div',
    { className: 'row' },
    make('span', {}, 'SUV window'),
    make('span', { className: 'window' }, limit('suvLow', 'Lowest SUV'), 'to', limit('suvHigh', 'Highest SUV')),
  )
}
