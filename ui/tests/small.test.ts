import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { showElapsed, showRemaining } from '../src/lib/clock';
import { columnsFor, cornerByKey, nearestCorner } from '../src/lib/layout';
import { barScale, follow, Meters, RELEASE_MS } from '../src/lib/meters';
import { Steady } from '../src/lib/steady';
import { deviceMenu } from '../src/lib/devices';
import { devices } from '../src/gallery/states';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a steady value', () => {
  it('changes at once, then at most once per interval, and ends at the latest', () => {
    const seen: string[] = [];
    const steady = new Steady('good', (value) => seen.push(value), 2000);
    steady.set('poor');
    expect(seen).toEqual(['poor']);
    steady.set('bad');
    steady.set('down');
    vi.advanceTimersByTime(1999);
    expect(seen).toEqual(['poor']);
    vi.advanceTimersByTime(1);
    expect(seen).toEqual(['poor', 'down']);
  });

  it('forgets a change that was taken back', () => {
    const seen: string[] = [];
    const steady = new Steady('good', (value) => seen.push(value), 2000);
    steady.set('poor');
    steady.set('bad');
    steady.set('poor');
    vi.advanceTimersByTime(5000);
    expect(seen).toEqual(['poor']);
  });
});

it('a timer counts from the beginning of the call and stops when told', () => {
  vi.setSystemTime(1_000_000_000_000);
  const element = document.createElement('span');
  const stop = showElapsed(element, 1_000_000_000_000 - 257_400);
  expect(element.textContent).toBe('04:17');
  vi.advanceTimersByTime(700);
  expect(element.textContent).toBe('04:18');
  stop();
  vi.advanceTimersByTime(5000);
  expect(element.textContent).toBe('04:18');
});

it('a countdown ends at nothing and stops by itself', () => {
  vi.setSystemTime(1_000_000_000_000);
  const element = document.createElement('span');
  showRemaining(element, 1_000_000_000_000 + 2_400);
  expect(element.textContent).toBe('0:03');
  vi.advanceTimersByTime(500);
  expect(element.textContent).toBe('0:02');
  vi.advanceTimersByTime(10_000);
  expect(element.textContent).toBe('0:00');
  expect(vi.getTimerCount()).toBe(0);
});

describe('meters', () => {
  it('rise within a few frames and fall within the release time', () => {
    expect(follow(0, 100, 35)).toBe(100);
    expect(follow(100, 0, RELEASE_MS / 2)).toBeCloseTo(50);
    expect(follow(100, 0, RELEASE_MS)).toBe(0);
    expect(follow(20, 60, 1000)).toBe(60);
  });

  it('have a resting height and a middle that is tallest', () => {
    expect(barScale(0, 2)).toBeCloseTo(0.2);
    expect(barScale(100, 2)).toBe(1);
    expect(barScale(50, 2)).toBeGreaterThan(barScale(50, 0));
  });

  it('draw bars, tell the level and put the ring on a speaker only', () => {
    const meters = new Meters();
    const make = (user: string) => {
      const tile = document.createElement('div');
      const element = document.createElement('span');
      element.append(...Array.from({ length: 5 }, () => document.createElement('i')));
      return { tile, element, detach: meters.attach(element, user, tile) };
    };
    const [bob, emi] = [make('bob'), make('emi')];
    meters.set({ bob: 64, emi: 10 });
    vi.advanceTimersByTime(200);
    expect(bob.element).toHaveAttribute('aria-valuenow', '64');
    expect((bob.element.children[2] as HTMLElement).style.transform).toBe('scaleY(0.840)');
    expect(bob.tile).toHaveAttribute('data-speaking');
    expect(emi.tile).not.toHaveAttribute('data-speaking');
    meters.set({});
    vi.advanceTimersByTime(1000);
    expect(bob.tile).not.toHaveAttribute('data-speaking');
    expect((bob.element.children[2] as HTMLElement).style.transform).toBe('scaleY(0.200)');
    expect(vi.getTimerCount(), 'nothing is drawn while nothing moves').toBe(0);
    bob.detach();
    emi.detach();
  });
});

describe('layout', () => {
  it.each([
    [1, 1000, 600, 1],
    [2, 1000, 400, 2],
    [2, 400, 800, 1],
    [4, 1000, 600, 2],
    [6, 1000, 600, 3],
    [9, 1900, 1000, 3],
  ])('%d tiles in %d by %d stand in %d columns', (count, width, height, columns) => {
    expect(columnsFor(count, width, height, 12)).toBe(columns);
  });

  it('snaps to the nearest corner and moves by arrow keys', () => {
    expect(nearestCorner(10, 10, 100, 100)).toBe('top-left');
    expect(nearestCorner(90, 60, 100, 100)).toBe('bottom-right');
    expect(cornerByKey('bottom-right', 'ArrowUp')).toBe('top-right');
    expect(cornerByKey('top-right', 'ArrowLeft')).toBe('top-left');
    expect(cornerByKey('top-left', 'a')).toBe('top-left');
  });
});

describe('a device menu', () => {
  it('offers the system and each device', () => {
    const menu = deviceMenu(devices, 'microphone');
    expect(menu.chosen).toBe('system');
    expect(menu.options.map(({ name, hint }) => [name, hint])).toEqual([
      ['Follow the system', 'Built-in microphone'],
      ['Built-in microphone', ''],
      ['Jabra Evolve2 65', ''],
    ]);
  });

  it('shows a choice that is not in the list as it is', () => {
    const unplugged = deviceMenu({ ...devices, microphone: { kind: 'device', id: 'gone' } }, 'microphone');
    expect(unplugged.options.at(-1)).toMatchObject({ value: unplugged.chosen, hint: 'Not plugged in' });
    const file = deviceMenu({ ...devices, camera: { kind: 'file', path: '/tmp/a/b.y4m' } }, 'camera');
    expect(file.options.at(-1)).toMatchObject({ value: 'file', hint: 'b.y4m' });
  });

  it('says that the synthetic camera stands in', () => {
    const menu = deviceMenu({ ...devices, cameras: [], cameraIsSynthetic: true }, 'camera');
    expect(menu.options[0]).toMatchObject({ hint: 'Synthetic camera' });
  });
});
