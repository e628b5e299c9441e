package media

import "container/list"

// lru keeps values up to a total cost, and lets go of those that were not asked for the longest. It is not safe for
// concurrent use.
type lru[K comparable, V any] struct {
	limit int
	total int
	order list.List // of *lruEntry[K, V], the last used first
	index map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
	cost  int
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{limit: limit, index: map[K]*list.Element{}}
}

func (l *lru[K, V]) get(key K) (V, bool) {
	e, ok := l.index[key]
	if !ok {
		var none V
		return none, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*lruEntry[K, V]).value, true
}

// put keeps value under key, in place of what was there. What costs more than the limit is not kept.
func (l *lru[K, V]) put(key K, value V, cost int) {
	l.remove(key)
	if cost > l.limit {
		return
	}
	l.index[key] = l.order.PushFront(&lruEntry[K, V]{key, value, cost})
	l.total += cost
	for l.total > l.limit {
		l.remove(l.order.Back().Value.(*lruEntry[K, V]).key)
	}
}

func (l *lru[K, V]) remove(key K) {
	e, ok := l.index[key]
	if !ok {
		return
	}
	l.total -= e.Value.(*lruEntry[K, V]).cost
	l.order.Remove(e)
	delete(l.index, key)
}
