// Package state keeps calls: the journal of each, which is the one place where what happens to a call is written down,
// and what is read from it, the call's record and its ladder.
package state
