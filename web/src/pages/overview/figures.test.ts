import { describe, expect, it } from 'vitest';
import { inbox, ledger, shown, span, trend } from './figures';

describe('a trend', () => {
  it('is a share of what was before', () => {
    expect(trend(112, 100, 'count')).toEqual({ direction: 'up', words: 'up 12 %' });
    expect(trend(50, 100, 'count')).toEqual({ direction: 'down', words: 'down 50 %' });
    expect(trend(1005, 1000, 'count')).toEqual({ direction: 'up', words: 'up 0.5 %' });
    expect(trend(90, 60, 'seconds')?.words).toBe('up 50 %');
  });
  it('of percentages is told in points', () => {
    expect(trend(97.5, 90, 'percent')).toEqual({ direction: 'up', words: 'up 7.5 points' });
  });
  it('is nothing where one side was not measured', () => {
    expect(trend(null, 3, 'seconds')).toBeNull();
    expect(trend(3, null, 'seconds')).toBeNull();
  });
  it('needs something to compare with', () => {
    expect(trend(5, 0, 'count')).toEqual({ direction: 'up', words: 'none before' });
    expect(trend(0, 0, 'count')).toEqual({ direction: 'same', words: 'as before' });
    expect(trend(3000, 100, 'count')?.words).toBe('up 30 ×');
  });
});

describe('figures', () => {
  it('are read as people read them', () => {
    expect(shown(12345, 'count')).toBe('12,345');
    expect(shown(99.95, 'percent')).toBe('100 %');
    expect(shown(250, 'seconds')).toBe('4 min 10 s');
    expect(span(0.4)).toBe('< 1 s');
    expect(span(0)).toBe('0 s');
  });
  it('lead to the lists behind them', () => {
    expect(inbox('severity:critical status:open')).toBe('/alert-groups?search=severity%3Acritical+status%3Aopen');
    expect(ledger({ state: 'failed' })).toBe('/deliveries?state=failed');
  });
});
