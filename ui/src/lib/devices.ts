/** What a device menu offers: follow the system, each device, and whatever else is chosen now. */

import type { ChoiceView, DeviceKindView, DevicesView, DeviceView } from '../bindings';
import type { Desk } from './desk.svelte';

export interface DeviceOption {
  /** Tells options apart within one menu. */
  value: string;
  name: string;
  hint: string;
  choice: ChoiceView;
}

export interface DeviceMenu {
  options: DeviceOption[];
  /** The value of the chosen option. */
  chosen: string;
}

export function deviceMenu(devices: DevicesView, kind: DeviceKindView): DeviceMenu {
  const list = plugged(devices, kind);
  const current = devices[kind];
  const standard = list.find((device) => device.isDefault)?.name ?? (list.length === 0 ? 'No device' : '');
  const standsIn = kind === 'camera' && list.length === 0 && devices.cameraIsSynthetic;
  const options: DeviceOption[] = [
    {
      value: 'system',
      name: 'Follow the system',
      hint: standsIn ? 'Synthetic camera' : standard,
      choice: { kind: 'system' },
    },
    ...list.map(({ id, name }) => ({ value: `device:${id}`, name, hint: '', choice: { kind: 'device' as const, id } })),
  ];
  const chosen = valueOf(current);
  if (!options.some((option) => option.value === chosen)) options.push(unlisted(current, chosen));
  return { options, chosen };
}

/** Whether the own picture is shown as in a mirror: a person is, a test pattern or a film with text in it is not. */
export function isMirrored({ camera, cameraIsSynthetic }: DevicesView): boolean {
  return !cameraIsSynthetic && (camera.kind === 'system' || camera.kind === 'device');
}

/** Sends the choice to the app. */
export async function selectDevice(desk: Desk, kind: DeviceKindView, choice: ChoiceView): Promise<void> {
  const { commands } = desk.backend;
  const select = {
    microphone: () => commands.selectMicrophone(choice),
    speaker: () => commands.selectSpeaker(choice),
    camera: () => commands.selectCamera(choice),
  }[kind];
  await desk.ask(`select-${kind}`, select());
}

function plugged(devices: DevicesView, kind: DeviceKindView): DeviceView[] {
  return { microphone: devices.microphones, speaker: devices.speakers, camera: devices.cameras }[kind];
}

function valueOf(choice: ChoiceView): string {
  return choice.kind === 'device' ? `device:${choice.id}` : choice.kind;
}

/** A choice made elsewhere (a script, an unplugged device) is shown as it is. */
function unlisted(choice: ChoiceView, value: string): DeviceOption {
  const option = (name: string, hint: string): DeviceOption => ({ value, name, hint, choice });
  switch (choice.kind) {
    case 'system':
      return option('Follow the system', '');
    case 'device':
      return option('Chosen device', 'Not plugged in');
    case 'file':
      return option('File', choice.path.split(/[\\/]/).pop() ?? choice.path);
    case 'tone':
      return option('Test tone', `${choice.hertz} Hz`);
    case 'pattern':
      return option('Test pattern', choice.label);
    case 'none':
      return option('None', '');
  }
}
