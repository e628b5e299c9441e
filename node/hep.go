package node

import (
	"net/netip"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/sipstack/hep"
	"github.com/callengine/callengine/state"
	"go.uber.org/zap"
)

// hepTap gives copies of SIP messages and of reports about sound to a HEP collector.
type hepTap struct {
	exporter *hep.Exporter
	own      netip.Addr // the node's address where a socket is bound to all
}

func newHEPTap(cfg HEPConfig, own netip.Addr, m *metrics, log *zap.Logger, network Network) *hepTap {
	opts := []hep.Option{hep.WithLogger(log), hep.WithCounter(m.hepPacket)}
	if network != nil {
		opts = append(opts, hep.WithDialContext(network.DialContext))
	}
	return &hepTap{own: own, exporter: hep.NewExporter(hep.Config{
		Network: cfg.Transport, Address: cfg.Address, CaptureID: uint32(cfg.CaptureID), Password: cfg.Password,
	}, opts...)}
}

// sip exports a message, one that belongs to no call as well: who looks for scanners looks here. Credentials are masked as
// in what is read out of a journal.
func (t *hepTap) sip(m sipstack.Message) {
	t.exporter.Send(func() (hep.Packet, error) {
		entry := state.Entry{Type: state.TypeSIP, SIP: &state.SIP{Raw: m.Raw}}.Masked(nil)
		p := hep.Packet{
			Time: m.Time, TCP: m.Transport != "udp", Protocol: hep.SIP,
			CorrelationID: m.SIPCallID, Payload: []byte(entry.SIP.Raw),
		}
		local, _ := netip.ParseAddrPort(m.Local) // what is no address is refused by the packet
		remote, _ := netip.ParseAddrPort(m.Remote)
		p.Source, p.Destination = t.ends(m.In, local, remote)
		return p, nil
	})
}

// rtcp exports the report in a packet of RTCP.
func (t *hepTap) rtcp(c media.ControlPacket) {
	t.exporter.Send(func() (hep.Packet, error) {
		p := hep.Packet{Time: c.Time, Protocol: hep.RTCP, CorrelationID: c.CorrelationID}
		p.Source, p.Destination = t.ends(c.In, c.Local, c.Remote)
		var err error
		p.Payload, err = hep.ReportsJSON(c.Data)
		return p, err
	})
}

// ends returns where a packet came from and where it went.
func (t *hepTap) ends(in bool, local, remote netip.AddrPort) (source, destination netip.AddrPort) {
	if local.Addr().IsUnspecified() {
		local = netip.AddrPortFrom(t.own, local.Port())
	}
	if in {
		return remote, local
	}
	return local, remote
}
