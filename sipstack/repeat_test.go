package sipstack

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// repeatedAt is when a lost answer has the request come again (RFC 3261 section 17.1.2.2), and the last moment at which it may.
var repeatedAt = []time.Duration{
	100 * time.Millisecond, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 7500 * time.Millisecond,
	11500 * time.Millisecond, 19500 * time.Millisecond, 31900 * time.Millisecond,
}

// transactionsOf has the library's server transactions of a method told.
func (n *node) transactionsOf(method sip.RequestMethod) <-chan *sip.ServerTx {
	seen := make(chan *sip.ServerTx, 100)
	n.transactions.OnRequest(func(req *sip.Request, tx *sip.ServerTx) {
		if req.Method == method {
			seen <- tx
		}
		n.handle(req, tx)
	})
	return seen
}

func TestARepeatedRequestGetsTheVerySameAnswer(t *testing.T) {
	for name, tc := range map[string]struct{ method, extra, body, want string }{
		"BYE":              {method: "BYE", want: "200"},
		"INFO":             {method: "INFO", extra: "Content-Type: application/dtmf-relay\r\n", body: "Signal=1", want: "200"},
		"UPDATE":           {method: "UPDATE", want: "200"},
		"OPTIONS":          {method: "OPTIONS", want: "200"},
		"PRACK of nothing": {method: "PRACK", extra: "RAck: 1 1 INVITE\r\n", want: "481"},
		"late NOTIFY":      {method: "NOTIFY", extra: "Event: refer;id=7\r\n", want: "481"},
		"unknown":          {method: "FROBNICATE", want: "405"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				transactions := n.transactionsOf(sip.RequestMethod(tc.method))
				n.answering()
				c := p.call()
				start := time.Now()
				req := c.inDialog(tc.method, tc.extra, tc.body)
				res := p.next()
				assert.Contains(t, startOf(res), tc.want)
				synctest.Wait()
				select {
				case <-(<-transactions).Done():
				default:
					assert.Fail(t, "the library still has the transaction")
				}
				for _, at := range repeatedAt {
					time.Sleep(at - time.Since(start))
					p.send(req)
					assert.Equal(t, res, p.next(), at)
				}
				assert.Empty(t, transactions)
				synctest.Wait()
				var requests, responses int
				for _, line := range n.rec.ladder("c-" + c.callID) {
					switch line {
					case "> " + tc.method:
						requests++
					case "< " + tc.want + " " + tc.method:
						responses++
					}
				}
				assert.Equal(t, []int{len(repeatedAt) + 1, len(repeatedAt) + 1}, []int{requests, responses}, "as the observer saw it")
			})
		})
	}
}

func TestAfter32SecondsARepeatedRequestIsANewOne(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		bye := c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
		time.Sleep(linger() + reduceAfter + 2*delayedStep) // fake
		p.send(bye)
		assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
	})
}

func TestAnotherTransactionIsNoRepetition(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		transactions := n.transactionsOf(sip.INFO)
		n.answering()
		c := p.call()
		info := c.inDialog("INFO", "", "")
		branch := field(info, "Via")
		p.next()
		p.send(strings.Replace(info, "branch=z9hG4bK", "branch=z9hG4bKx", 1))
		assert.Contains(t, field(p.next(), "Via"), "branch=z9hG4bKx", "another branch")
		assert.Len(t, transactions, 2)

		_, after, _ := strings.Cut(branch, ";branch=")
		same, _, _ := strings.Cut(after, ";")
		c.cseq++
		p.send(c.request("UPDATE", c.target, c.cseq, same, "", ""))
		assert.Equal(t, "102 UPDATE", field(p.next(), "CSeq"), "another method")
	})
}

func TestARepetitionThatIsNotWrittenPlainlyGetsTheSameAnswer(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		c.cseq++
		bye := c.request("BYE", c.target, c.cseq, newBranch(), "", "")
		bye = strings.Replace(strings.Replace(bye, "SIP/2.0/UDP ", "SIP / 2.0 / UDP  ", 1), ";branch", " ; branch", 1)
		p.send(bye)
		res := p.next()
		assert.Equal(t, "SIP/2.0 200 OK", startOf(res))
		for range 2 {
			time.Sleep(time.Second)
			p.send(bye)
			assert.Equal(t, res, p.next())
		}
		require.ErrorIs(t, n.end(), ErrRemoteHangup)
	})
}

// awaiting counts what is waited for.
type awaiting struct {
	*recorder
	awaited atomic.Int64
}

func (a *awaiting) Await(string) { a.awaited.Add(1) }

func TestARepetitionIsNotWaitedFor(t *testing.T) {
	observer := &awaiting{recorder: &recorder{}}
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		info := c.inDialog("INFO", "", "")
		res := p.next()
		synctest.Wait()
		before := observer.awaited.Load()
		assert.NotZero(t, before)
		p.send(info)
		assert.Equal(t, res, p.next())
		assert.Equal(t, before, observer.awaited.Load(), "its answer was written down when it went out first")
	}, WithObserver(observer))
}

func TestARepetitionByWhoIsSilencedGetsNoAnswer(t *testing.T) {
	inDoor(t, func(c *Config) { c.SilenceAfter = 3 }, func(t *testing.T, n *node, _ *testDoor, p *phone) {
		first := strings.NewReplacer("OPTIONS", "FOO", "127.0.0.2:5070", p.wire.local().String()).Replace(ask())
		p.send(first)
		res := p.next()
		assert.Equal(t, "SIP/2.0 405 Method Not Allowed", startOf(res))
		p.send(first)
		assert.Equal(t, res, p.next())
		for n := 2; ; n++ {
			p.send(strings.ReplaceAll(first, "z9hG4bK1", "z9hG4bK"+strings.Repeat("1", n)))
			synctest.Wait()
			if len(p.in) == 0 {
				break
			}
			p.next()
		}
		p.send(first)
		p.silent(time.Second)
	})
}

func TestNothingIsKeptOfRequestsOverAStream(t *testing.T) {
	n := startNode(t, nil, Config{Listeners: []Listener{{"tcp", "127.0.0.1:0"}}}).answering()
	defer n.stop()
	p := n.tcpPhone(0)
	defer p.close()
	c := p.call()
	c.inDialog("INFO", "", "")
	assert.Equal(t, "SIP/2.0 200 OK", startOf(c.next()))
	c.inDialog("BYE", "", "")
	assert.Equal(t, "SIP/2.0 200 OK", startOf(c.next()))
	require.ErrorIs(t, n.end(), ErrRemoteHangup)
	_, kept := n.finals.size()
	assert.Zero(t, kept)
}

func TestWhatIsForgottenForLackOfRoomIsHandledAgain(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		transactions := n.transactionsOf(sip.BYE)
		n.finals.ages.most = smallestPiece // nothing has come yet
		n.answering()
		c := p.call()
		bye := c.inDialog("BYE", "", "")
		res := p.next()
		synctest.Wait() // the call is over
		for range 20 {
			c.inDialog("INFO", "", "")
			assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
		}
		p.send(bye)
		assert.Equal(t, startOf(res), startOf(p.next()), "the dialog knows what it has got")
		assert.Len(t, transactions, 2)
	})
}
