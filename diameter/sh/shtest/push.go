package shtest

import (
	"context"
	"fmt"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"

	"github.com/simbind/simbind/diameter/diametertest"
)

// Push gives a SIM another number and tells whoever subscribed to it (TS 29.329
// clause 6.1.7). It returns the result of the answer.
func (h *HSS) Push(ctx context.Context, imsi, msisdn string) (uint32, error) {
	h.mu.Lock()
	h.numbers[imsi] = msisdn
	to := h.subscribed[imsi]
	h.mu.Unlock()
	if to.via == nil {
		return 0, fmt.Errorf("%w that subscribed", diametertest.ErrNoPeer)
	}
	return h.exchange(ctx, to.via, to.host, "sip:"+imsi+"@ims.mnc001.mcc001.3gppnetwork.org", Document(msisdn))
}

// PushData sends a Push-Notification-Request about an identity with User-Data
// to a peer, and returns the result of the answer.
func (h *HSS) PushData(ctx context.Context, p *diametertest.Peer, identity, document string) (uint32, error) {
	return h.exchange(ctx, p, p.Remote, identity, document)
}

func (h *HSS) exchange(ctx context.Context, via *diametertest.Peer, to diametertest.Node, identity, document string) (uint32, error) {
	answer, err := via.Exchange(ctx, h.Notification(to, identity, document))
	if err != nil {
		return 0, err
	}
	answer, err = h.parse(answer)
	if err != nil {
		return 0, err
	}
	return answer.Result(), nil
}

// Notification makes the request that PushData sends.
func (h *HSS) Notification(to diametertest.Node, identity, document string) *diam.Message {
	m := diam.NewRequest(Notify, Sh, h.dictionary)
	m.Header.CommandFlags |= diam.ProxiableFlag
	m.AddAVP(diam.NewAVP(avp.SessionID, avp.Mbit, 0, datatype.UTF8String(fmt.Sprintf("%s;push;%s", h.options.Node.Host, identity))))
	application(m)
	m.AddAVP(diam.NewAVP(avp.OriginHost, avp.Mbit, 0, datatype.DiameterIdentity(h.options.Node.Host)))
	m.AddAVP(diam.NewAVP(avp.OriginRealm, avp.Mbit, 0, datatype.DiameterIdentity(h.options.Node.Realm)))
	m.AddAVP(diam.NewAVP(avp.DestinationHost, avp.Mbit, 0, datatype.DiameterIdentity(to.Host)))
	m.AddAVP(diam.NewAVP(avp.DestinationRealm, avp.Mbit, 0, datatype.DiameterIdentity(to.Realm)))
	m.AddAVP(diam.NewAVP(avpUserIdentity, avp.Mbit|avp.Vbit, diametertest.Vendor3GPP, diametertest.Group(
		diam.NewAVP(avpPublicIdentity, avp.Mbit|avp.Vbit, diametertest.Vendor3GPP, datatype.UTF8String(identity)),
	)))
	m.AddAVP(diam.NewAVP(avpUserData, avp.Mbit|avp.Vbit, diametertest.Vendor3GPP, datatype.OctetString(document)))
	return m
}
