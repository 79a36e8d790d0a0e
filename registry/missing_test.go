package registry

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestADigestThatIsGoneIsMissing(t *testing.T) {
	server := serve(t)
	there := server.push("cart:1")
	kept, gone := server.host+"/cart@"+there, server.host+"/cart@"+someDigest
	got, err := server.resolver(t, Options{}).Missing(t.Context(), ask(gone, kept, server.host+"/cart:1@"+there, gone), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{gone}, got); diff != "" {
		t.Error("missing (-want +got):\n" + diff)
	}
	server.expect("GET /v2/", "HEAD "+cart+there, "HEAD "+cart+someDigest)
}

func TestWhereHeadIsRefusedADigestIsFetched(t *testing.T) {
	server := serve(t)
	there := server.push("cart:1")
	server.on("HEAD "+cart+there, status(http.StatusMethodNotAllowed, nil))
	server.on("HEAD "+cart+someDigest, status(http.StatusMethodNotAllowed, nil))
	gone := server.host + "/cart@" + someDigest
	got, err := server.resolver(t, Options{}).Missing(t.Context(), ask(gone, server.host+"/cart@"+there), time.Now())
	if err != nil || len(got) != 1 || got[0] != gone {
		t.Errorf("got %v, %v", got, err)
	}
	server.expect("GET /v2/", "HEAD "+cart+there, "GET "+cart+there, "HEAD "+cart+someDigest, "GET "+cart+someDigest)
}

func TestADigestIsMissingWhereEachEndpointSaysSo(t *testing.T) {
	image := "r.io/cart@" + someDigest
	for name, test := range map[string]struct {
		mirror, origin int
		missing        bool
		reason         Reason
	}{
		"both":           {404, 404, true, ""},
		"the origin has": {404, 200, false, ""},
		"a mirror has":   {200, 404, false, ""},
		"a mirror fails": {502, 404, false, Unavailable},
		"origin fails":   {404, 502, false, Unavailable},
		"refused":        {404, 401, false, Unauthorized},
	} {
		mirror, origin := serve(t), serve(t)
		mirror.on("HEAD "+cart+someDigest, status(test.mirror, nil))
		origin.on("HEAD "+cart+someDigest, status(test.origin, nil))
		resolver := resolverOf(t, Options{Endpoints: endpointsOf("r.io", Endpoint{URL: at(mirror, "/v2"), Mirror: true}, Endpoint{URL: at(origin, "/v2")})})
		got, err := resolver.Missing(t.Context(), ask(image), time.Now())
		if (len(got) == 1) != test.missing {
			t.Errorf("%s: got %v", name, got)
		}
		var e *Error
		if errors.As(err, &e); test.reason == "" && err != nil || test.reason != "" && (e == nil || e.Reason != test.reason) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestMissingAnswersBesideErrors(t *testing.T) {
	server := serve(t)
	server.on("HEAD /v2/till/manifests/"+someDigest, status(http.StatusBadGateway, nil))
	gone := server.host + "/cart@" + someDigest
	got, err := server.resolver(t, Options{}).Missing(t.Context(), ask(gone, server.host+"/till@"+someDigest, server.host+"/cart:1"), time.Now())
	if diff := cmp.Diff([]string{gone}, got); diff != "" {
		t.Error("missing (-want +got):\n" + diff)
	}
	var reasons []Reason
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		reasons = append(reasons, err.(*Error).Reason)
	}
	if diff := cmp.Diff([]Reason{InvalidReference, Unavailable}, reasons); diff != "" {
		t.Error("reasons (-want +got):\n" + diff)
	}
}

func TestWhatWasResolvedIsAnsweredBesideErrors(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	image := server.host + "/cart:1"
	got, err := server.resolver(t, Options{}).Resolve(t.Context(), ask(image, server.host+"/cart:2"), time.Now())
	if diff := cmp.Diff(map[string]string{image: digest}, digests(got)); diff != "" {
		t.Error("digests (-want +got):\n" + diff)
	}
	if e := firstError(t, err); e.Reason != NotFound || e.Image != server.host+"/cart:2" {
		t.Errorf("got %v", e)
	}
}

func TestADigestIsNotLookedForByEachOfAThousand(t *testing.T) {
	server := serve(t)
	there := server.push("cart:1")
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	gone := server.host + "/cart@" + someDigest
	queries := ask(gone, server.host+"/cart@"+there)
	look := func(since time.Time) {
		t.Helper()
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if got, err := resolver.Missing(t.Context(), queries, since); err != nil || len(got) != 1 || got[0] != gone {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		all.Wait()
	}
	look(clock.now())
	server.expect("GET /v2/", "HEAD "+cart+there, "HEAD "+cart+someDigest)

	clock.Time = clock.Add(time.Minute)
	look(newClock().now())
	server.expect("GET /v2/", "HEAD "+cart+there, "HEAD "+cart+someDigest)

	server.forget()
	look(clock.now())
	server.expect("HEAD "+cart+there, "HEAD "+cart+someDigest)
}
