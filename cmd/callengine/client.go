package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/spf13/cobra"
)

// apiFlags are those of the commands that ask a running node.
type apiFlags struct {
	settings
	url string
}

func (f *apiFlags) flags(cmd *cobra.Command) {
	f.settings.flags(cmd)
	cmd.Flags().StringVar(&f.url, "api", "", "`URL` of the node's HTTP API; default: the configuration's api.public_url")
}

// client asks the HTTP API of a node.
type client struct {
	base               *url.URL // of the account
	username, password string
}

// apiTimeout bounds a request, its answer included.
const apiTimeout = 30 * time.Second

func (p *program) client(f apiFlags) (*client, error) {
	cfg, _, err := p.load(f.settings)
	if err != nil {
		return nil, err
	}
	address, key := f.url, "--api"
	if address == "" {
		address, key = cfg.API.PublicURL, "api.public_url"
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%s: must be an absolute http:// or https:// URL", key)
	}
	return &client{base.JoinPath("api", "v2", "accounts", cfg.AccountID), cfg.API.Username, cfg.API.Password}, nil
}

// calls is the URL of the account's calls, or of what is below them.
func (c *client) calls(path ...string) *url.URL {
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	return c.base.JoinPath(append([]string{"calls"}, path...)...)
}

// outbox is the URL of the account's outbox, or of what is below it.
func (c *client) outbox(path ...string) *url.URL {
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	return c.base.JoinPath(append([]string{"outbox"}, path...)...)
}

// journal returns the journal of a call.
func (p *program) journal(ctx context.Context, f apiFlags, callID string) (journal []state.Entry, err error) {
	c, err := p.client(f)
	if err != nil {
		return nil, err
	}
	_, err = c.get(ctx, c.calls(callID, "journal"), func(r io.Reader) (err error) {
		journal, err = state.ReadJournal(r)
		return err
	})
	return journal, failed(err)
}

// get asks for u and has the answer read. next is the rest of a list; nil: there is none.
func (c *client) get(ctx context.Context, u *url.URL, read func(io.Reader) error) (next *url.URL, err error) {
	return c.do(ctx, http.MethodGet, u, http.StatusOK, read)
}

func (c *client) do(ctx context.Context, method string, u *url.URL, want int, read func(io.Reader) error) (next *url.URL, err error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if c.username != "" {
		req.SetBasicAuth(c.username, c.password)
	}
	one := http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	res, err := one.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("no answer from the node at %s://%s: %w", u.Scheme, u.Host, err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if res.StatusCode != want {
		return nil, refusal(res)
	}
	if err := read(res.Body); err != nil {
		return nil, fmt.Errorf("answer of the node: %w", err)
	}
	return nextPage(u, res.Header.Get("Link")), nil
}

// refusal tells why the node has not answered what was asked.
func refusal(res *http.Response) error {
	var body struct {
		Description string `json:"description"`
	}
	_ = json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&body) // something else may have answered
	if res.StatusCode == http.StatusUnauthorized {
		body.Description = "it wants api.username and api.password, which the configuration given here must hold"
	}
	return fmt.Errorf("the node answered %s: %s", res.Status, strings.TrimSpace(body.Description))
}

// nextPage reads a Link header (RFC 8288). Only its query is taken: the node may be reached here by another address than
// by its public one.
func nextPage(u *url.URL, link string) *url.URL {
	target, rest, found := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	next, err := url.Parse(target)
	if !found || err != nil || !strings.Contains(rest, `rel="next"`) {
		return nil
	}
	page := *u
	page.RawQuery = next.RawQuery
	return &page
}

// colored reports whether w is a terminal whose user has nothing against colours (no-color.org).
func (p *program) colored(w io.Writer) bool {
	for _, variable := range p.env {
		if name, value, _ := strings.Cut(variable, "="); name == "NO_COLOR" && value != "" || variable == "TERM=dumb" {
			return false
		}
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
