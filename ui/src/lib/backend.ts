/** The only module that talks to Tauri. Screens, gallery and tests know the interface alone. */

import { commands, events } from '../bindings';
import type { EngineEvent, LevelsChanged, View } from '../bindings';

export type Commands = typeof commands;

export interface Backend {
  /** What a person may ask for; each answers with data or with a refusal. */
  commands: Commands;
  /** Calls back with each new view until the returned function is called. */
  onView(show: (view: View) => void): Promise<() => void>;
  /** Calls back 10 times a second while in a call. */
  onLevels(show: (levels: LevelsChanged) => void): Promise<() => void>;
  /** Calls back with every event of the engine. */
  onEvent(show: (event: EngineEvent) => void): Promise<() => void>;
}

export const tauri: Backend = {
  commands,
  onView: (show) => events.viewChanged.listen((event) => show(event.payload)),
  onLevels: (show) => events.levelsChanged.listen((event) => show(event.payload)),
  onEvent: (show) => events.engineEvent.listen((event) => show(event.payload)),
};
