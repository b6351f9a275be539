/** Drawn people for the gallery: stand-ins for camera pictures, no photographs of anybody. */

interface Person {
  wall: [string, string];
  skin: string;
  hair: string;
  shirt: string;
}

const PEOPLE: Person[] = [
  { wall: ['#6f5d7e', '#46506d'], skin: '#f1c27d', hair: '#2c2222', shirt: '#455468' },
  { wall: ['#1d4b86', '#0f2b52'], skin: '#e0ac85', hair: '#2c2222', shirt: '#d97706' },
  { wall: ['#23545c', '#2d8f86'], skin: '#c68642', hair: '#1f1a1a', shirt: '#e76f51' },
  { wall: ['#4a4763', '#7fa790'], skin: '#ffdbac', hair: '#3a2a20', shirt: '#1e293b' },
  { wall: ['#6b1239', '#8a0a26'], skin: '#8d5524', hair: '#201a1a', shirt: '#134e5e' },
  { wall: ['#28406b', '#5c6fa8'], skin: '#d9a06b', hair: '#4a2f1d', shirt: '#3f6b4f' },
];

export function drawPortrait(canvas: HTMLCanvasElement, picture: number): void {
  const person = PEOPLE[picture % PEOPLE.length];
  const [w, h] = [1280, 720];
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext('2d');
  if (!person || !context) return;
  const wall = context.createLinearGradient(0, 0, w, h);
  wall.addColorStop(0, person.wall[0]);
  wall.addColorStop(1, person.wall[1]);
  context.fillStyle = wall;
  context.fillRect(0, 0, w, h);
  const light = context.createRadialGradient(w * 0.2, h * 0.1, 20, w * 0.2, h * 0.1, w * 0.7);
  light.addColorStop(0, 'rgb(255 255 255 / 0.28)');
  light.addColorStop(1, 'rgb(255 255 255 / 0)');
  context.fillStyle = light;
  context.fillRect(0, 0, w, h);

  const ellipse = (x: number, y: number, rx: number, ry: number, fill: string) => {
    context.fillStyle = fill;
    context.beginPath();
    context.ellipse(x, y, rx, ry, 0, 0, Math.PI * 2);
    context.fill();
  };
  const x = w / 2;
  ellipse(x, 300, 172, 190, person.hair);
  ellipse(x, 860, 400, 330, person.shirt);
  context.fillStyle = person.skin;
  context.beginPath();
  context.roundRect(x - 62, 440, 124, 150, 60);
  context.fill();
  context.fillStyle = 'rgb(0 0 0 / 0.14)';
  context.beginPath();
  context.ellipse(x, 478, 62, 46, 0, 0, Math.PI);
  context.fill();
  ellipse(x, 330, 140, 172, person.skin);
  context.fillStyle = person.hair;
  context.beginPath();
  context.ellipse(x, 268, 156, 140, 0, Math.PI, Math.PI * 2);
  context.quadraticCurveTo(x + 60, 222, x - 40, 232);
  context.quadraticCurveTo(x - 120, 240, x - 156, 268);
  context.fill();
  ellipse(x - 52, 322, 11, 13, '#1b1b1f');
  ellipse(x + 52, 322, 11, 13, '#1b1b1f');
  context.strokeStyle = '#1b1b1f';
  context.lineWidth = 7;
  context.lineCap = 'round';
  context.beginPath();
  context.arc(x, 376, 46, Math.PI * 0.2, Math.PI * 0.8);
  context.stroke();
}
