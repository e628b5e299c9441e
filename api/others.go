package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Recordings and transcriptions are where the node is that made them, while calls are in a store that all nodes of a cluster
// share. So that any node answers for any call, one that does not have what it is asked for asks the others.

const (
	// headerAsked marks a request of another node, which is answered for the node alone.
	headerAsked = "Callengine-Asked-By-Node"
	// othersTime is how long another node may take until its answer begins, or its part of a list is there.
	othersTime = 3 * time.Second
	// maxList is how much of another node's list is read, in bytes.
	maxList = 16 << 20
)

// WithOthers sets where the APIs of the other nodes of a cluster are: scheme and authority of each. They are asked with the
// credentials of who asks this one. Default: there are none.
func WithOthers(f func() []string) Option { return func(s *Server) { s.others = f } }

// newOthersClient returns the client that others are asked by. It keeps no connection, and follows no redirects. Each of them has
// so long to let it in, and as long again to begin its answer.
func newOthersClient(limit time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: limit}).DialContext, ResponseHeaderTimeout: limit,
			DisableKeepAlives: true, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// toAsk are the nodes that a request may be passed on to.
func (s *Server) toAsk(r *http.Request) []string {
	if r.Header.Get(headerAsked) != "" {
		return nil
	}
	return s.others()
}

// anywhere has h answer, and where that finds nothing (404) the first of the other nodes that finds something.
func (s *Server) anywhere(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		others := s.toAsk(r)
		if len(others) == 0 {
			h(w, r)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxJSON+1)) // one that is too long is refused by h
		if err != nil {
			invalid("The body could not be read").write(w)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		before := w.Header().Clone()
		own := &withoutMiss{ResponseWriter: w}
		h(own, r)
		if !own.missed {
			return
		}
		missed := w.Header().Clone()
		clear(w.Header()) // what describes the 404 does not describe another node's answer
		maps.Copy(w.Header(), before)
		for _, other := range others {
			if s.passOn(w, r, other, body) {
				return
			}
		}
		maps.Copy(w.Header(), missed)
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(own.miss.Bytes()) // a client that is gone concerns nobody
	}
}

// passOn has another node answer; false: it has found nothing, or cannot be asked, and nothing was written.
func (s *Server) passOn(w http.ResponseWriter, r *http.Request, other string, body []byte) bool {
	res, err := s.ask(r.Context(), r, other, body)
	if err != nil {
		s.unasked(r, other, err)
		return false
	}
	defer func() { _ = res.Body.Close() }() // it was read, or is given up
	if res.StatusCode == http.StatusNotFound {
		return false
	}
	maps.Copy(w.Header(), res.Header)
	if res.ContentLength > 0 { // a server that cannot (a test's) has no time-out either
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout + time.Duration(res.ContentLength/slowest)*time.Second))
	}
	w.WriteHeader(res.StatusCode)
	if _, err := io.Copy(w, res.Body); err != nil {
		panic(http.ErrAbortHandler) // half an answer must not be taken for a whole one
	}
	return true
}

// ask sends another node the request that this one got.
func (s *Server) ask(ctx context.Context, r *http.Request, other string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, other+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Authorization", "Content-Type", "Accept", "Range", "If-Range", "If-Modified-Since"} {
		if values := r.Header.Values(name); len(values) > 0 {
			req.Header[name] = values
		}
	}
	req.Header.Set(headerAsked, "1")
	return s.client.Do(req)
}

func (s *Server) unasked(r *http.Request, other string, err error) {
	s.log.Warn("another node could not be asked, and what it has is missing in an answer", zap.String("node", other), callOf(r), zap.Error(err))
}

// everywhere has h answer with a list, and puts in what the other nodes answer: all sorted by their startTime, where they have
// one, and no more than limit; 0: all. A node that does not answer is missing, with a line in the log.
func (s *Server) everywhere(limit int, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		others := s.toAsk(r)
		if len(others) == 0 {
			h(w, r)
			return
		}
		own := &draft{header: w.Header().Clone()}
		h(own, r)
		var list []json.RawMessage
		switch own.status {
		case http.StatusOK:
			if err := json.Unmarshal(own.body.Bytes(), &list); err != nil {
				s.internal(w, r, "a list could not be read", zap.Error(err))
				return
			}
		case http.StatusNotFound: // here
		default:
			own.send(w)
			return
		}
		theirs := s.lists(r, others)
		if own.status == http.StatusNotFound && len(theirs) == 0 {
			own.send(w)
			return
		}
		list = append(list, theirs...)
		slices.SortStableFunc(list, func(a, b json.RawMessage) int { return cmp.Compare(startOf(a), startOf(b)) })
		if limit > 0 && len(list) > limit {
			list = list[:limit]
		}
		writeJSON(w, http.StatusOK, list)
	}
}

// lists asks all others at once for their lists, and returns what is in them.
func (s *Server) lists(r *http.Request, others []string) (all []json.RawMessage) {
	ctx, cancel := context.WithTimeout(r.Context(), othersTime)
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, other := range others {
		asked.Go(func() {
			list, err := s.listOf(ctx, r, other)
			if err != nil {
				s.unasked(r, other, err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, list...)
		})
	}
	asked.Wait()
	return all
}

func (s *Server) listOf(ctx context.Context, r *http.Request, other string) (list []json.RawMessage, err error) {
	res, err := s.ask(ctx, r, other, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // it was read
	switch res.StatusCode {
	case http.StatusOK:
		return list, json.NewDecoder(io.LimitReader(res.Body, maxList)).Decode(&list)
	case http.StatusNotFound:
		return nil, nil
	}
	return nil, fmt.Errorf("it answers %s", res.Status)
}

// startOf is when an item of a list began: times in UTC sort as they are written.
func startOf(item json.RawMessage) string {
	var it struct {
		StartTime string `json:"startTime"`
	}
	_ = json.Unmarshal(item, &it) // one without has none
	return it.StartTime
}

// draft is an answer that is not sent yet.
type draft struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (d *draft) Header() http.Header { return d.header }

// WriteHeader implements [http.ResponseWriter].
func (d *draft) WriteHeader(status int) { d.status = status }

// Write implements [http.ResponseWriter].
func (d *draft) Write(b []byte) (int, error) { return d.body.Write(b) }

func (d *draft) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), d.header)
	w.WriteHeader(d.status)
	_, _ = w.Write(d.body.Bytes()) // a client that is gone concerns nobody
}

// withoutMiss keeps an answer that says 404 to itself.
type withoutMiss struct {
	http.ResponseWriter
	missed bool
	miss   bytes.Buffer
}

// WriteHeader implements [http.ResponseWriter].
func (w *withoutMiss) WriteHeader(status int) {
	if status == http.StatusNotFound {
		w.missed = true
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *withoutMiss) Write(b []byte) (int, error) {
	if w.missed {
		return w.miss.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *withoutMiss) Unwrap() http.ResponseWriter { return w.ResponseWriter }
