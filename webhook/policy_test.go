package webhook

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func prefixes(cidrs ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range cidrs {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestAllowHosts(t *testing.T) {
	for name, tc := range map[string]struct {
		allow []string
		url   string
		ok    bool
	}{
		"empty allows all":         {nil, "http://any.test/", true},
		"exact":                    {[]string{"app.example"}, "http://app.example:8080/", true},
		"another":                  {[]string{"app.example"}, "http://app.example.evil.test/", false},
		"glob":                     {[]string{"*.example"}, "http://a.b.example/", true},
		"glob needs its dot":       {[]string{"*.example"}, "http://example/", false},
		"letter case":              {[]string{"APP.example"}, "http://app.EXAMPLE/", true},
		"root dot":                 {[]string{"app.example"}, "http://app.example./", true},
		"second of two":            {[]string{"a.test", "b.test"}, "http://b.test/", true},
		"user looks like the host": {[]string{"app.example"}, "http://app.example@evil.test/", false},
		"IPv4":                     {[]string{"192.0.2.*"}, "http://192.0.2.7/", true},
		"IPv6":                     {[]string{"::1"}, "http://[::1]:80/", true},
		"scheme":                   {nil, "ftp://app.example/", false},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newPolicy(tc.allow, nil)
			require.NoError(t, err)
			u, err := url.Parse(tc.url)
			require.NoError(t, err)
			if tc.ok {
				assert.NoError(t, p.checkURL(u))
			} else {
				assert.ErrorIs(t, p.checkURL(u), ErrRefused)
			}
		})
	}
}

func TestDenyCIDRs(t *testing.T) {
	for name, tc := range map[string]struct {
		deny    string
		address string
		ok      bool
	}{
		"in the range":               {"169.254.0.0/16", "169.254.169.254:80", false},
		"beside it":                  {"169.254.0.0/16", "169.253.0.1:80", true},
		"mapped into IPv6":           {"169.254.0.0/16", "[::ffff:169.254.169.254]:80", false},
		"range is mapped":            {"::ffff:169.254.0.0/112", "169.254.169.254:80", false},
		"all that is mapped":         {"::ffff:0:0/96", "192.0.2.1:80", false},
		"through NAT64":              {"169.254.0.0/16", "[64:ff9b::a9fe:a9fe]:80", false},
		"NAT64 to another":           {"169.254.0.0/16", "[64:ff9b::c000:201]:80", true},
		"IPv6":                       {"fe80::/10", "[fe80::1]:80", false},
		"IPv6 with a zone":           {"fe80::/10", "[fe80::1%eth0]:80", false},
		"IPv6 beside it":             {"fe80::/10", "[fd00::1]:80", true},
		"all of IPv4":                {"0.0.0.0/0", "192.0.2.1:80", false},
		"all of IPv4 holds no IPv6":  {"0.0.0.0/0", "[2001:db8::1]:80", true},
		"one address":                {"192.0.2.1/32", "192.0.2.1:443", false},
		"0.0.0.0 is this host":       {"127.0.0.0/8", "0.0.0.0:80", false},
		":: is this host":            {"127.0.0.0/8", "[::]:80", false},
		":: is this host by IPv6":    {"::1/128", "[::]:80", false},
		"what cannot be told is out": {"192.0.2.1/32", "pipe", false},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newPolicy(nil, prefixes(tc.deny))
			require.NoError(t, err)
			if tc.ok {
				assert.NoError(t, p.checkDialled(tc.address))
			} else {
				assert.ErrorIs(t, p.checkDialled(tc.address), ErrRefused)
			}
		})
	}
}

func TestNothingDeniedNeedsNoAddress(t *testing.T) {
	assert.NoError(t, policy{}.checkDialled("pipe"))
}

// The address is checked on the socket, whatever name led to it.
func TestDeniedAddressIsNeverConnectedTo(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	for _, deny := range []string{"127.0.0.0/8", "::ffff:127.0.0.0/104"} {
		c, err := NewClient(Config{DenyCIDRs: prefixes(deny, "::1/128")})
		require.NoError(t, err)
		for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
			to := strings.Replace(server.URL, "127.0.0.1", host, 1)
			_, err := c.Ask(t.Context(), Target{URL: to}, testEvent)
			require.ErrorIs(t, err, ErrRefused, host)
			assert.ErrorContains(t, err, "is in webhook.deny_cidrs")
			var failed *DeliveryError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, 1, failed.Attempts, "to try again would change nothing")
			assert.False(t, failed.temporary())
		}
		c.Close()
	}
	assert.False(t, asked)
}

func TestRealSockets(t *testing.T) {
	server := httptest.NewServer(reply(200, bxml))
	defer server.Close()
	c, err := NewClient(Config{DenyCIDRs: prefixes("169.254.0.0/16")})
	require.NoError(t, err)
	defer c.Close()
	got, err := c.Ask(t.Context(), Target{URL: server.URL}, testEvent)
	require.NoError(t, err)
	assert.Equal(t, bxml, string(got.Body))
}

// A denied address that is written in the URL is not even handed to the custom dialler.
func TestDeniedLiteralIsNotDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "169.254.169.254:80", reply(200, bxml))
		c := newClient(t, n, Config{DenyCIDRs: prefixes("169.254.0.0/16")})
		_, err := c.Ask(t.Context(), Target{URL: "http://169.254.169.254/latest"}, testEvent)
		require.ErrorIs(t, err, ErrRefused)
		assert.Empty(t, n.dials())
	})
}

func TestNoProxyOfTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.example:3128")
	t.Setenv("http_proxy", "http://proxy.example:3128")
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", reply(200, bxml))
		c := newClient(t, n, Config{})
		_, err := c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
		require.NoError(t, err)
		assert.Equal(t, []string{"app.example:80"}, n.dials())
		assert.Nil(t, c.transport.Proxy, "the environment is read once in a process, so that the test above may come too late")
	})
}

func TestConfigErrorsNameTheirKey(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"glob that cannot be read": {Config{AllowHosts: []string{"a["}}, "webhook.allow_hosts"},
		"URL for a host":           {Config{AllowHosts: []string{"http://a"}}, "webhook.allow_hosts"},
		"empty glob":               {Config{AllowHosts: []string{""}}, "webhook.allow_hosts"},
		"range that is none":       {Config{DenyCIDRs: []netip.Prefix{{}}}, "webhook.deny_cidrs"},
		"no such file":             {Config{CAFile: empty + ".not"}, "webhook.tls_ca_file"},
		"file without certificate": {Config{CAFile: empty}, "webhook.tls_ca_file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewClient(tc.cfg)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestCloseEndsEveryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		gone := make(chan struct{})
		n.serve(t, "app.example:80", reply(200, bxml))
		n.serve(t, "slow.example:80", func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(gone)
		})
		c := newClient(t, n, Config{})
		_, err := c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
		require.NoError(t, err)
		failed := make(chan error)
		go func() {
			_, err := c.Ask(t.Context(), Target{URL: "http://slow.example/"}, testEvent)
			failed <- err
		}()
		synctest.Wait()
		c.Close()
		require.Error(t, <-failed)
		<-gone
		assert.Empty(t, c.conns)
		_, err = c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
		require.ErrorIs(t, err, ErrClosed)
		c.Close()
	})
}

func TestCloseEndsADialThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := NewClient(Config{}, WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		require.NoError(t, err)
		begun := time.Now()
		time.AfterFunc(time.Second, c.Close)
		_, err = c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
		require.Error(t, err)
		assert.Equal(t, time.Second, time.Since(begun))
	})
}
