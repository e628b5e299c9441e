package bench_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// floor is a server that exchanges the messages of a referred call and does nothing else: no dialogs, no media, no
// documents. It has no more than sipgo's transactions and, if there is an application, requests of net/http.
type floor struct {
	app    string // URL of an application that is told three times of each call; empty: none
	client *sipgo.Client
	laddr  sip.Addr
	host   string
}

func serveFloor() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	sip.UDPMTUSize = 65507
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 100
	conn, err := net.ListenPacket("udp4", os.Getenv(floorEnv))
	if err != nil {
		return err
	}
	ua, err := sipgo.NewUA()
	if err != nil {
		return err
	}
	server, err := sipgo.NewServer(ua)
	if err != nil {
		return err
	}
	local := conn.LocalAddr().(*net.UDPAddr)
	client, err := sipgo.NewClient(ua, sipgo.WithClientHostname(local.IP.String()), sipgo.WithClientPort(local.Port))
	if err != nil {
		return err
	}
	f := &floor{app: os.Getenv(floorAppEnv), client: client, host: local.String(), laddr: sip.Addr{IP: local.IP, Port: local.Port}}
	server.OnInvite(f.invite)
	server.OnAck(f.ack)
	server.OnNotify(f.notify)
	fmt.Println("listening")
	go func() { _ = server.ServeUDP(conn) }()
	<-ctx.Done()
	return ua.Close()
}

const floorSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"

func (f *floor) contact() sip.Header { return sip.NewHeader("Contact", "<sip:"+f.host+">") }

func (f *floor) invite(req *sip.Request, tx sip.ServerTransaction) {
	req.To().Params.Add("tag", "floor")
	_ = tx.Respond(sip.NewResponseFromRequest(req, 100, "Trying", nil))
	f.tell("initiate")
	res := sip.NewResponseFromRequest(req, 200, "OK", []byte(floorSDP))
	res.AppendHeader(f.contact())
	res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	_ = tx.Respond(res)
}

// ack begins the referral: an ACK holds all that a request of ours needs.
func (f *floor) ack(req *sip.Request, _ sip.ServerTransaction) {
	_, _ = f.request(sip.REFER, req, 2, sip.NewHeader("Refer-To", "<sip:bob@example.com>"),
		sip.NewHeader("Referred-By", "<"+req.To().Address.String()+">"))
}

func (f *floor) notify(req *sip.Request, tx sip.ServerTransaction) {
	_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
	if strings.Contains(string(req.Body()), " 200 ") {
		_, _ = f.request(sip.BYE, req, 3)
		f.tell("referComplete")
		f.tell("disconnect")
	}
}

// tell posts what is as long as a webhook.
func (f *floor) tell(event string) {
	if f.app == "" {
		return
	}
	body := `{"eventType":"` + event + `","filler":"` + strings.Repeat("x", 600) + `"}`
	res, err := http.Post(f.app, "application/json", strings.NewReader(body))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}

// request sends a request in the dialog of one that came in, and waits for its answer.
func (f *floor) request(method sip.RequestMethod, in *sip.Request, cseq uint32, headers ...sip.Header) (*sip.Response, error) {
	var target sip.Uri
	if err := sip.ParseUri(strings.Trim(in.GetHeader("Contact").Value(), "<>"), &target); err != nil {
		return nil, err
	}
	req := sip.NewRequest(method, target)
	req.Laddr = f.laddr
	req.SetDestination(in.Source())
	req.AppendHeader(&sip.FromHeader{Address: in.To().Address, Params: in.To().Params})
	req.AppendHeader(&sip.ToHeader{Address: in.From().Address, Params: in.From().Params})
	req.AppendHeader(in.CallID())
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	maxForwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&maxForwards)
	req.AppendHeader(f.contact())
	for _, h := range headers {
		req.AppendHeader(h)
	}
	tx, err := f.client.TransactionRequest(context.Background(), req, sipgo.ClientRequestAddVia)
	if err != nil {
		return nil, err
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, tx.Err()
		}
	}
}
