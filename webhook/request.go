package webhook

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/go-retryablehttp"
)

// eventID is the header that carries an event's id: the same whenever and wherever the event is sent (docs/webhooks.md).
const eventID = "Callengine-Event-Id"

// newRequest makes the request of an event to a target, and returns the target's URL without user information. Its errors
// are [ErrRefused]: nothing can be sent there.
func (c *Client) newRequest(ctx context.Context, to Target, ev Event) (*retryablehttp.Request, *url.URL, error) {
	address, err := url.Parse(to.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the URL cannot be read", ErrRefused) // its error would quote the URL
	}
	address.Host = strings.TrimSuffix(address.Host, ":") // a port that is empty is none
	auth := to.Auth
	if user := address.User; user != nil {
		if auth == nil {
			password, _ := user.Password()
			auth = &BasicAuth{Username: user.Username(), Password: password}
		}
		address.User = nil
	}

	sent := address
	var body any // nil: none
	method := strings.ToUpper(to.Method)
	switch method {
	case "", http.MethodPost:
		method, body = http.MethodPost, []byte(ev.Body)
	case http.MethodGet:
		query, err := withProperties(address.RawQuery, ev.Body)
		if err != nil {
			return nil, address, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		withQuery := *address
		withQuery.RawQuery = query
		sent = &withQuery
	default:
		return nil, address, fmt.Errorf("%w: the method is neither POST nor GET", ErrRefused)
	}

	req, err := retryablehttp.NewRequestWithContext(ctx, method, "", body) // the URL has been read
	if err != nil {
		return nil, address, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req.URL, req.Host = sent, sent.Host
	if body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set(eventID, ev.ID)
	if auth != nil {
		req.SetBasicAuth(auth.Username, auth.Password)
	}
	return req, address, nil
}
