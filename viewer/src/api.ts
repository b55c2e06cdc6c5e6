// The server's JSON API: its types, requests and events. Every failure is an ApiError with one sentence for the reader.

export interface Voxel {
  x: number
  y: number
  z: number
}

export type Label = 'tumor' | 'background'

export interface Click extends Voxel {
  id: number
  label: Label
}

export interface Model {
  name: string
  description: string
  warning: string | null
  version: string
}

export interface CaseEntry {
  id: string
  name: string
  session: string | null
}

export interface CaseDetails extends CaseEntry {
  shape_xyz: [number, number, number]
  spacing_xyz_mm: [number, number, number]
}

export interface Progress {
  stage: 'opening' | 'waiting' | 'computing' | 'done' | 'failed'
  text: string
  done: number
  total: number
  error: string | null
}

export interface MaskInfo {
  version: number // 0 while there is none
  final: boolean
  revision: number // of the clicks that it shows
}

export interface SessionState {
  id: string
  case: string
  revision: number
  clicks: Click[]
  can_undo: boolean
  can_redo: boolean
  progress: Progress
  mask: MaskInfo
}

export interface Lesion extends Voxel {
  number: number
  volume_ml: number
  suv_max: number
  suv_mean: number
  suv_peak: number
  tlg_ml: number
}

export interface LesionTable {
  mask: MaskInfo
  lesions: Lesion[]
  total: { volume_ml: number; tlg_ml: number; dmax_mm: number | null; count: number }
}

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message)
  }
}

/** The address of something that the server has, wherever the page was served from. */
export function address(path: string): string {
  return new URL(`api/${path}`, document.baseURI).href
}

async function sentence(response: Response): Promise<string> {
  try {
    const { detail } = (await response.json()) as { detail?: unknown }
    if (typeof detail === 'string') return detail
  } catch {
    // no JSON: said below
  }
  if (response.status === 401) return 'The server asks for its key: open the address that it printed when it started.'
  return `The server answered ${response.status} ${response.statusText}.`
}

async function send(method: string, path: string, body?: BodyInit, json = false): Promise<Response> {
  const headers: Record<string, string> = json ? { 'Content-Type': 'application/json' } : {}
  let response: Response
  try {
    response = await fetch(address(path), { method, headers, ...(body === undefined ? {} : { body }) })
  } catch {
    throw new ApiError('The server does not answer. Is `lesionclick serve` still running?', 0)
  }
  if (!response.ok) throw new ApiError(await sentence(response), response.status)
  return response
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return (await (await send(method, path, text, body !== undefined)).json()) as T
}

export const api = {
  model: () => ask<Model>('GET', 'model'),
  cases: () => ask<CaseEntry[]>('GET', 'cases'),
  caseDetails: (id: string) => ask<CaseDetails>('GET', `cases/${encodeURIComponent(id)}`),
  openSession: (id: string) => ask<SessionState>('POST', `cases/${encodeURIComponent(id)}/session`),
  addClick: (session: string, voxel: Voxel, label: Label) =>
    ask<SessionState>('POST', `sessions/${session}/clicks`, { x: voxel.x, y: voxel.y, z: voxel.z, label }),
  deleteClick: (session: string, click: number) => ask<SessionState>('DELETE', `sessions/${session}/clicks/${click}`),
  undo: (session: string) => ask<SessionState>('POST', `sessions/${session}/undo`),
  redo: (session: string) => ask<SessionState>('POST', `sessions/${session}/redo`),
  clear: (session: string) => ask<SessionState>('POST', `sessions/${session}/clear`),
  lesions: (session: string) => ask<LesionTable>('GET', `sessions/${session}/lesions`),
  upload: async (form: FormData) => (await (await send('POST', 'cases', form)).json()) as CaseEntry,
}

/** A file's bytes; `onPart` is told what share of it has come, where the server says how much there is. */
export async function download(path: string, onPart: (share: number) => void = () => {}): Promise<ArrayBuffer> {
  const response = await send('GET', path)
  const total = Number(response.headers.get('Content-Length') ?? 0)
  if (!response.body || !total) return response.arrayBuffer()
  const bytes = new Uint8Array(total)
  let at = 0
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read()
    if (done) break
    if (at + value.length > total) throw new ApiError(`${path}: is longer than the server said.`, 0)
    bytes.set(value, at)
    onPart((at += value.length) / total)
  }
  if (at < total) throw new ApiError(`${path}: ended early, load the page again.`, 0)
  return bytes.buffer
}

/** Calls `onState` at once and at each change of a session, until the returned function is called. */
export function follow(
  session: string,
  onState: (state: SessionState) => void,
  onConnection: (open: boolean) => void,
): () => void {
  const events = new EventSource(address(`sessions/${session}/events`))
  let retry = 0
  events.addEventListener('state', (event) => onState(JSON.parse(event.data as string) as SessionState))
  events.onopen = () => onConnection(true)
  let stop = () => events.close()
  events.onerror = () => {
    onConnection(false)
    if (events.readyState !== EventSource.CLOSED) return // the browser tries again by itself
    retry = window.setTimeout(() => (stop = follow(session, onState, onConnection)), 2000)
  }
  return () => {
    window.clearTimeout(retry)
    stop()
  }
}
