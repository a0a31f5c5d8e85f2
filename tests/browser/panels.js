// Draws the panels of a Grafana dashboard from what Prometheus has answered; see test_grafana_dashboard.py.
// Each panel: {type, title, unit, place: {x, y, w, h}, steps, times, series: [{name, values}]}.
panels => {
  const colours = ['#73bf69', '#f2cc0c', '#5794f2', '#ff9830', '#f2495c', '#b877d9', '#8ab8ff', '#fade2a', '#96d98d'];
  const round = number => Number(number.toPrecision(3)).toLocaleString('en');
  const text = (value, unit) => {
    if (value === null || value === undefined) return 'no data';
    if (unit === 'percentunit') return `${round(value * 100)} %`;
    if (unit === 'ops') return `${round(value)}/s`;
    if (unit !== 's') return round(value);
    if (value === 0) return '0 s';
    return value < 1 ? `${round(value * 1000)} ms` : value < 120 ? `${round(value)} s` : `${round(value / 60)} min`;
  };
  const last = series => series.values.findLast(value => value !== null);

  document.body.style.cssText = `margin: 0; padding: 8px; background: #111217; color: #ccccdc; width: 1424px;
    display: grid; grid-template-columns: repeat(24, 1fr); grid-auto-rows: 34px; gap: 4px 8px;
    font: 13px/1.3 "DejaVu Sans", sans-serif;`;
  const style = document.head.appendChild(document.createElement('style'));
  style.textContent = '.u-legend { font-size: 11px; } .u-legend th { padding: 1px 4px; font-weight: normal; }';
  for (const panel of panels) {
    const {x, y, w, h} = panel.place;
    const box = document.body.appendChild(document.createElement('section'));
    box.style.cssText = `grid-column: ${x + 1} / span ${w}; grid-row: ${y + 1} / span ${h}; overflow: hidden;`;
    const title = box.appendChild(document.createElement('div'));
    title.textContent = panel.title;
    title.style.cssText = 'font-weight: bold; padding: 7px 10px;';
    if (panel.type === 'row') continue;
    box.style.background = '#181b1f';
    box.style.border = '1px solid #2a2d33';
    if (panel.type !== 'timeseries') {
      const value = panel.series.length ? last(panel.series[0]) : null;
      const step = panel.steps.findLast(one => one.value === null || value >= one.value);
      const number = box.appendChild(document.createElement('div'));
      number.className = 'number';
      number.textContent = text(value, panel.unit);
      number.style.cssText = `font-size: 40px; text-align: center; padding-top: 18px;
        color: ${{green: '#73bf69', orange: '#ff9830', red: '#f2495c'}[step?.color] ?? '#73bf69'};`;
      continue;
    }
    const lines = panel.series.map(({name}, index) =>
      ({label: name, stroke: colours[index % colours.length], width: 1.5, points: {show: false}}));
    const axis = {stroke: '#9a9ba5', grid: {stroke: '#25282e', width: 1}, ticks: {stroke: '#25282e'}};
    new uPlot({
      width: box.clientWidth - 8,
      height: box.clientHeight - 34 - 26 * Math.ceil(Math.max(1, lines.length) / 5),
      legend: {live: false, markers: {fill: (_plot, index) => lines[index - 1]?.stroke}},
      cursor: {show: false},
      scales: {y: {range: (_plot, _least, most) => [0, most ? most * 1.1 : 1]}},
      axes: [axis, {...axis, size: 64, values: (_plot, values) => values.map(value => text(value, panel.unit))}],
      series: [{}, ...lines],
    }, [panel.times, ...panel.series.map(({values}) => values)], box);
  }
}
