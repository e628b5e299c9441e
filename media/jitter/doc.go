// Package jitter evens out what the network does to the sound of a peer: packets that come late, in another order, twice
// or not at all, and a clock that is not ours. A [Buffer] holds packets for as long as their delay is seen to vary, and
// gives out sound at our clock. How long that is follows the network: it grows at once and shrinks slowly, within bounds.
// What is missing is made up.
//
// Positions and times inside are counted in samples, 8000 a second.
package jitter
