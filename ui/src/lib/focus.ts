/** Where the focus goes when the control that had it is gone: to the heading of the screen, so that Tab goes on from there. */
export function focusHeading(of: string = 'main h1'): void {
  const heading = document.querySelector<HTMLElement>(of);
  heading?.setAttribute('tabindex', '-1');
  heading?.focus();
}
