package media

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// only is what a handshake sees of a socket: its own packets.
type only struct {
	*memoryConn
	other chan []byte // the rest
	in    chan datagram
}

func newOnly(c *memoryConn) *only {
	o := &only{memoryConn: c, other: make(chan []byte, 4096), in: make(chan datagram, 64)}
	go func() {
		for {
			select {
			case d := <-c.in:
				if d.b[0] >= 20 && d.b[0] <= 63 {
					o.in <- d
				} else {
					o.other <- d.b
				}
			case <-c.closed:
				return
			}
		}
	}()
	return o
}

func (o *only) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-o.in:
		return copy(b, d.b), net.UDPAddrFromAddrPort(d.from), nil
	case <-o.closed:
		return 0, nil, net.ErrClosed
	}
}

// phoneDTLS is the peer's handshake, and the contexts that come of it.
func phoneDTLS(t *testing.T, conn net.PacketConn, to net.Addr, certificate tls.Certificate, client bool) (in, out *srtp.Context, err error) {
	t.Helper()
	profile := dtls.WithSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	check := dtls.WithVerifyPeerCertificate(func([][]byte, [][]*x509.Certificate) error { return nil })
	var c *dtls.Conn
	if client {
		c, err = dtls.ClientWithOptions(conn, to, profile, check, dtls.WithCertificates(certificate), dtls.WithInsecureSkipVerify(true))
	} else {
		c, err = dtls.ServerWithOptions(conn, to, profile, check, dtls.WithCertificates(certificate), dtls.WithClientAuth(dtls.RequireAnyClientCert))
	}
	require.NoError(t, err)
	if err := c.HandshakeContext(t.Context()); err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	state, _ := c.ConnectionState()
	cfg := &srtp.Config{Profile: srtp.ProtectionProfileAes128CmHmacSha1_80}
	require.NoError(t, cfg.ExtractSessionKeysFromDTLS(&state, client))
	out, err = srtp.CreateContext(cfg.Keys.LocalMasterKey, cfg.Keys.LocalMasterSalt, cfg.Profile)
	require.NoError(t, err)
	in, err = srtp.CreateContext(cfg.Keys.RemoteMasterKey, cfg.Keys.RemoteMasterSalt, cfg.Profile)
	require.NoError(t, err)
	return in, out, nil
}

func TestAHandshakeAgreesOnTheKeys(t *testing.T) {
	for name, client := range map[string]bool{"we begin": true, "the phone begins": false} {
		t.Run(name, func(t *testing.T) {
			certificate, err := selfSigned()
			require.NoError(t, err)
			b, counts := newBench(t), &secrets{}
			b.engine.counters = counts
			rtpSide, rtcpSide := newOnly(b.rtp), newOnly(b.rtcp)
			t.Cleanup(func() { _, _ = b.rtp.Close(), b.rtcp.Close() })
			p := params()
			p.Secure.DTLS = DTLS{Fingerprint: fingerprintOf(certificate.Certificate[0], "sha-256"), Client: client}
			b.Configure(p)
			type contexts struct{ in, out *srtp.Context }
			control := make(chan contexts, 1)
			go func() {
				in, out, err := phoneDTLS(t, rtcpSide, net.UDPAddrFromAddrPort(b.rtcpLocal()), certificate, !client)
				assert.NoError(t, err)
				control <- contexts{in, out}
			}()
			in, out, err := phoneDTLS(t, rtpSide, net.UDPAddrFromAddrPort(b.local()), certificate, !client)
			require.NoError(t, err)
			forRTCP := <-control

			heard := make(chan struct{}, 1)
			defer b.Listen(func(in, _ []int16) {
				if loudness(in) > 2000 {
					select {
					case heard <- struct{}{}:
					default:
					}
				}
			})()
			opened(t, in, <-rtpSide.other)
			phone := newTalker()
			for done := false; !done; {
				sealed, err := out.EncryptRTP(nil, phone.packet(t), nil)
				require.NoError(t, err)
				b.rtp.send(sealed, b.local())
				select {
				case <-heard:
					done = true
				case <-time.After(20 * time.Millisecond):
				}
			}
			raw := <-rtcpSide.other
			_, err = forRTCP.in.DecryptRTCP(nil, raw, nil)
			require.NoError(t, err)
			assert.Zero(t, counts.failed.Load())
			b.Configure(p) // once more, as it was: nothing begins anew
			opened(t, in, <-rtpSide.other)
		})
	}
}

func TestAHandshakeWithSomebodyElseGivesNoSound(t *testing.T) {
	for name, client := range map[string]bool{"we begin": true, "the other begins": false} {
		t.Run(name, func(t *testing.T) {
			theirs, err := selfSigned()
			require.NoError(t, err)
			other, err := selfSigned()
			require.NoError(t, err)
			b, counts := newBench(t), &secrets{}
			b.engine.counters = counts
			side := newOnly(b.rtp)
			t.Cleanup(func() { _ = b.rtp.Close() })
			p := params()
			p.Secure.DTLS = DTLS{Fingerprint: fingerprintOf(theirs.Certificate[0], "sha-256"), Client: client}
			b.Configure(p)
			_, _, err = phoneDTLS(t, side, net.UDPAddrFromAddrPort(b.local()), other, !client)
			if err == nil { // as a client it may think that all is well, until it is told
				require.False(t, client)
			}
			require.Eventually(t, func() bool { return counts.failed.Load() == 1 }, time.Minute, 10*time.Millisecond)
			select {
			case raw := <-side.other:
				t.Errorf("%x was sent", raw[:2])
			case <-time.After(60 * time.Millisecond):
			}
		})
	}
}

func TestACallMayEndInAHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		p := params()
		p.Secure.DTLS = DTLS{Fingerprint: "sha-256 " + "00", Client: true}
		b.Configure(p)
		time.Sleep(time.Second)
		hello := b.rtp.waiting()
		require.NotEmpty(t, hello)
		assert.Equal(t, byte(22), hello[0].b[0], "and nothing else goes out")
		b.rtp.send([]byte{22, 254, 253, 0}, b.local()) // malformed
		p.Secure.DTLS.Client = false
		b.Configure(p)
		time.Sleep(time.Second)
		require.NoError(t, b.Close())
		require.NoError(t, b.Close())
	})
}

func TestAHandshakeThatNobodyAnswersIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, counts := newBench(t), &secrets{}
		b.engine.counters = counts
		p := params()
		p.Secure.DTLS = DTLS{Fingerprint: "sha-256 00", Client: true}
		b.Configure(p)
		time.Sleep(handshakeTime + time.Second)
		synctest.Wait()
		assert.Equal(t, int64(2), counts.failed.Load(), "of RTP and of RTCP")
	})
}

func TestFingerprints(t *testing.T) {
	certificate, err := selfSigned()
	require.NoError(t, err)
	der := certificate.Certificate[0]
	for _, name := range []string{"sha-224", "sha-256", "sha-384", "sha-512", "SHA-256"} {
		f := fingerprintOf(der, name)
		assert.True(t, CanVerify(f), f)
		assert.True(t, verify(der, f), f)
		assert.False(t, verify(der[1:], f), f)
	}
	for _, f := range []string{"", "sha-256", "sha-256 00:11", "sha-1 00", "md5 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF", "sha-256 xx"} {
		assert.False(t, CanVerify(f), f)
		assert.False(t, verify(der, f), f)
	}
	e, err := New(Config{})
	require.NoError(t, err)
	defer e.Close()
	first, err := e.Fingerprint()
	require.NoError(t, err)
	again, err := e.Fingerprint()
	require.NoError(t, err)
	assert.Equal(t, first, again)
	assert.True(t, CanVerify(first))
}
