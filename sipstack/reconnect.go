package sipstack

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// answer sends a response to a request of a call that we have. One whose connection has gone goes by another (RFC 3261
// section 18.2.2). What strangers send is not worth that: who asks and leaves could have us connect to wherever he likes.
func (s *Stack) answer(tx *sip.ServerTx, res *sip.Response) error {
	err := s.send(tx, res)
	if !isStranded(tx, err) {
		return err
	}
	on := s.listenerOf(tx)
	if on == nil || on.streams == nil {
		return err
	}
	conn, failed := s.reconnect(on, res)
	if failed != nil {
		s.log.Debug("a response whose connection has gone goes nowhere else", zap.Int("code", res.StatusCode), zap.Error(failed))
		return err
	}
	_, err = conn.Write([]byte(res.String()))
	return err
}

// reaches reports whether an INVITE whose transaction has ended with its connection can be answered by another, and opens that.
func (s *Stack) reaches(i *invite) bool {
	if !isStranded(i.tx, i.tx.Err()) {
		return false
	}
	on := s.listenerOf(i.tx)
	if on == nil || on.streams == nil {
		return false
	}
	_, err := s.reconnect(on, s.response(i.req, sip.StatusTrying, ""))
	return err == nil
}

// isStranded reports whether a response could not be sent because its connection has gone.
func isStranded(tx *sip.ServerTx, err error) bool {
	return errors.Is(err, sip.ErrTransactionTransport) && sip.IsReliable(tx.Origin().Transport())
}

// reconnect opens a connection for the response to a request that came to a listener, to the first that takes one: the address that
// the request came from, with the port that its sender listens on, and, where that one gave a name, to what the name leads to
// (RFC 3263 section 5).
func (s *Stack) reconnect(on *listener, res *sip.Response) (*observedConn, error) {
	via := res.Via()
	if via == nil {
		return nil, errTransport
	}
	ctx, cancel := context.WithTimeout(s.living, connectTimeout)
	defer cancel()
	var errs []error
	name := hostOf(sip.Uri{Host: via.Host})
	for _, to := range s.waysBack(ctx, on, via) {
		if err := s.connect(ctx, to, name); err != nil {
			errs = append(errs, err)
			continue
		}
		if conn := s.connection(to); conn != nil {
			return conn, nil
		}
	}
	return nil, errors.Join(append(errs, errTransport)...)
}

// waysBack are where the sender of a request listens, the best first.
func (s *Stack) waysBack(ctx context.Context, on *listener, via *sip.ViaHeader) (ways []flow) {
	uri := sip.Uri{Scheme: "sip", Host: via.Host, Port: via.Port}
	uri.UriParams.Add("transport", on.network)
	if on.network == "tls" {
		uri = sip.Uri{Scheme: "sips", Host: via.Host, Port: via.Port}
	}
	received, _ := via.Params.Get("received")
	if ip, err := netip.ParseAddr(received); err == nil {
		ways = append(ways, flow{on: on, source: netip.AddrPortFrom(ip.Unmap(), portOf(via.Port, on))})
	}
	named, err := s.locator.flows(ctx, uri, s.bound(), on)
	if err != nil {
		return ways
	}
	for _, way := range named {
		if !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return ways
}
