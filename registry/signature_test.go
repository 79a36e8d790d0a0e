package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	local "github.com/google/go-containerregistry/pkg/registry"
)

func TestWhatTheRealCosignHasSignedIsVerified(t *testing.T) {
	for _, key := range []string{"cosign", "p384", "p521", "ed25519", "rsa"} {
		for _, form := range []string{"classic-", "bundle-"} {
			server := serve(t)
			if err := server.verify(t, server.keep(readSigning(t, form+key)), key); err != nil {
				t.Errorf("%s%s: %v", form, key, err)
			}
		}
	}
}

func TestAClassicSignatureCostsTwoRequests(t *testing.T) {
	server, signed := serve(t), readSigning(t, "classic-cosign")
	if err := server.verify(t, server.keep(signed), "cosign"); err != nil {
		t.Fatal(err)
	}
	server.expect("GET /v2/", "GET "+cart+signed.tag+".sig", "GET /v2/cart/blobs/"+signed.payload(t))
}

func TestABundleIsFoundByTheTagOfWhatRefersToTheImage(t *testing.T) {
	server, signed := serve(t), readSigning(t, "bundle-cosign")
	manifest, blob := signed.bundle(t)
	if err := server.verify(t, server.keep(signed), "cosign"); err != nil {
		t.Fatal(err)
	}
	server.expect("GET /v2/", "GET "+cart+signed.tag+".sig", "GET /v2/cart/referrers/"+signed.digest, "GET "+cart+signed.tag,
		"GET "+cart+manifest, "GET /v2/cart/blobs/"+blob)
}

func TestABundleIsFoundByTheReferrersAPI(t *testing.T) {
	server, signed := serve(t), readSigning(t, "bundle-cosign")
	server.registry = local.New(local.Logger(log.New(io.Discard, "", 0)), local.WithReferrersSupport(true))
	delete(signed.manifests, signed.tag)
	manifest, blob := signed.bundle(t)
	if err := server.verify(t, server.keep(signed), "cosign"); err != nil {
		t.Fatal(err)
	}
	server.expect("GET /v2/", "GET "+cart+signed.tag+".sig", "GET /v2/cart/referrers/"+signed.digest,
		"GET "+cart+manifest, "GET /v2/cart/blobs/"+blob)
}

func TestWhereTheReferrersAPIIsNotKnownTheTagIsAsked(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"400":  status(http.StatusBadRequest, nil),
		"404":  status(http.StatusNotFound, nil),
		"405":  status(http.StatusMethodNotAllowed, nil),
		"406":  status(http.StatusNotAcceptable, nil),
		"html": content("text/html", []byte("<html>no such page")),
	} {
		server, signed := serve(t), readSigning(t, "bundle-cosign")
		server.on("GET /v2/cart/referrers/"+signed.digest, answer)
		if err := server.verify(t, server.keep(signed), "cosign"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheReferrersAPIIsAskedForBundles(t *testing.T) {
	server, signed := serve(t), readSigning(t, "bundle-cosign")
	index := signed.manifests[signed.tag]
	var query url.Values
	var accept string
	server.on("GET /v2/cart/referrers/"+signed.digest, func(w http.ResponseWriter, r *http.Request) {
		query, accept = r.URL.Query(), r.Header.Get("Accept")
		content("application/vnd.oci.image.index.v1+json", index)(w, r)
	})
	delete(signed.manifests, signed.tag)
	if err := server.verify(t, server.keep(signed), "cosign"); err != nil {
		t.Fatal(err)
	}
	if got := query.Encode(); got != "artifactType=application%2Fvnd.dev.sigstore.bundle.v0.3%2Bjson" || accept != "application/vnd.oci.image.index.v1+json" {
		t.Errorf("asked for %s, %s", got, accept)
	}
}

func TestOneKeyOfSeveralIsEnough(t *testing.T) {
	for _, name := range []string{"classic-cosign", "bundle-cosign"} {
		server := serve(t)
		if err := server.verify(t, server.keep(readSigning(t, name)), "rsa", "other", "cosign"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneSignatureOfSeveralIsEnough(t *testing.T) {
	for _, name := range []string{"classic-two", "bundle-two"} {
		for _, key := range []string{"cosign", "other"} {
			server := serve(t)
			if err := server.verify(t, server.keep(readSigning(t, name)), key); err != nil {
				t.Errorf("%s by %s: %v", name, key, err)
			}
		}
	}
}

func TestASignatureByAnotherKeyIsRefused(t *testing.T) {
	for _, name := range []string{"classic-cosign", "bundle-cosign"} {
		server := serve(t)
		image := server.keep(readSigning(t, name))
		err := server.verify(t, image, "other")
		wantRefused(t, err, SignedByOtherKeys, "verifying "+image+": it is signed, but not by the key "+readKeys(t, "other")[0].String())
		wantRefused(t, server.verify(t, image, "other", "rsa"), SignedByOtherKeys, "any of the keys")
	}
}

func TestAnUnsignedImageIsRefused(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	err := server.verify(t, server.host+"/cart:1@"+digest, "cosign")
	wantRefused(t, err, NotSigned, "it is not signed; sign it with cosign sign --key")
	tag := tagOf(digest)
	server.expect("GET /v2/", "GET "+cart+tag+".sig", "GET /v2/cart/referrers/"+digest, "GET "+cart+tag)
	if _, temporary, _ := firstError(t, err).Describe(); !temporary {
		t.Error("it may be signed a moment later")
	}
}

func TestAnAttestationIsNoSignature(t *testing.T) {
	for _, key := range []string{"cosign", "other"} {
		server := serve(t)
		wantRefused(t, server.verify(t, server.keep(readSigning(t, "attested")), key), NotSigned)
	}
}

func TestASignatureOfAnotherDigestIsRefused(t *testing.T) {
	for name, from := range map[string]string{"classic-cosign": ".sig", "bundle-cosign": ""} {
		server, signed := serve(t), readSigning(t, name)
		server.keep(signed)
		digest := server.push("cart:2")
		tag := tagOf(digest) + from
		server.put(http.MethodPut, "/v2/cart/manifests/"+tag, "application/vnd.oci.image.index.v1+json", signed.manifests[signed.tag+from])
		err := server.verify(t, server.host+"/cart@"+digest, "cosign")
		wantRefused(t, err, SignedOtherDigest, "its signature is for another digest, "+signed.digest+";")
		wantRefused(t, server.verify(t, server.host+"/cart@"+digest, "other"), SignedByOtherKeys)
	}
}

func TestAChangedPayloadIsRefused(t *testing.T) {
	server, signed := serve(t), readSigning(t, "classic-cosign")
	before := signed.payload(t)
	changed := bytes.Replace(signed.blobs[before], []byte(`"optional":null`), []byte(`"optional":{}`), 1)
	server.on("GET /v2/cart/blobs/"+before, content("application/octet-stream", changed))
	image := server.keep(signed)
	wantRefused(t, server.verify(t, image, "cosign"), SignatureUnreadable, "what the registry sends for "+before)

	layers := signed.layers(t)
	layers[0]["digest"] = digestOf(changed)
	signed.keepLayers(t, layers)
	signed.blobs[digestOf(changed)] = changed
	server.keep(signed)
	wantRefused(t, server.verify(t, image, "cosign"), SignedByOtherKeys)
}

func TestAChangedBundleIsRefused(t *testing.T) {
	server, signed := serve(t), readSigning(t, "bundle-cosign")
	manifest, blob := signed.bundle(t)
	server.on("GET /v2/cart/blobs/"+blob, content("application/json", []byte(`{}`)))
	image := server.keep(signed)
	wantRefused(t, server.verify(t, image, "cosign"), SignatureUnreadable, "what the registry sends for "+blob)
	server.on("GET "+cart+manifest, content(ociManifest, []byte(`{}`)))
	wantRefused(t, server.verify(t, image, "cosign"), SignatureUnreadable, "what the registry sends for "+manifest)
}

func TestASignatureThatIsNoneCostsNoPayload(t *testing.T) {
	for _, annotations := range []any{nil, map[string]any{}, map[string]any{"dev.cosignproject.cosign/signature": "not base64"}} {
		server, signed := serve(t), readSigning(t, "classic-cosign")
		layers := signed.layers(t)
		layers[0]["annotations"] = annotations
		signed.keepLayers(t, layers)
		err := server.verify(t, server.keep(signed), "cosign")
		wantRefused(t, err, SignatureUnreadable, "its annotation dev.cosignproject.cosign/signature is missing or not base64")
		server.expect("GET /v2/", "GET "+cart+signed.tag+".sig", "GET /v2/cart/referrers/"+signed.digest, "GET "+cart+signed.tag)
	}
}

func TestWhatIsNoSignatureManifestIsRefused(t *testing.T) {
	html := []byte("<html>sign in</html>")
	for name, change := range map[string]func(signing){
		"html":            func(s signing) { s.manifests[s.tag+".sig"] = html },
		"html as index":   func(s signing) { s.manifests[s.tag] = html },
		"no layers":       func(s signing) { s.manifests[s.tag+".sig"] = []byte(`{"mediaType":"` + ociManifest + `"}`) },
		"an image":        func(s signing) { s.manifests[s.tag+".sig"] = s.manifests["1"] },
		"layers a string": func(s signing) { s.manifests[s.tag+".sig"] = []byte(`{"mediaType":"` + ociManifest + `","layers":""}`) },
	} {
		server, signed := serve(t), readSigning(t, "attested")
		change(signed)
		err := server.verify(t, server.keep(signed), "cosign")
		wantRefused(t, err, SignatureUnreadable, "its signature cannot be read: ", "sign it anew")
		if strings.Contains(err.Error(), "<html>") {
			t.Errorf("%s: the error shows what the server said: %v", name, err)
		}
	}
}

// What is wrong with one signature does not spoil another one, whichever of the two forms they have.
func TestAGoodSignatureBesideBadOnesIsEnough(t *testing.T) {
	server, signed := serve(t), readSigning(t, "bundle-cosign")
	signed.manifests[signed.tag+".sig"] = []byte("<html>sign in</html>")
	if err := server.verify(t, server.keep(signed), "cosign"); err != nil {
		t.Error(err)
	}

	server, signed = serve(t), readSigning(t, "classic-cosign")
	good := signed.layers(t)[0]
	endless := digestOf([]byte("endless"))
	server.on("GET /v2/cart/blobs/"+endless, func(w http.ResponseWriter, _ *http.Request) {
		for chunk := make([]byte, 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	layers := []map[string]any{good}
	for _, digest := range []string{someDigest, endless, "sha256:../../x", ""} {
		layers = append(layers, map[string]any{"mediaType": good["mediaType"], "digest": digest, "annotations": good["annotations"]})
	}
	signed.keepLayers(t, layers)
	if err := server.verify(t, server.keep(signed), "cosign"); err != nil {
		t.Error(err)
	}
	blobs := "GET /v2/cart/blobs/"
	server.expect("GET /v2/", "GET "+cart+signed.tag+".sig", blobs+endless, blobs+someDigest, blobs+signed.payload(t))
}

func TestAtMost64SignaturesAreLookedAt(t *testing.T) {
	signed := readSigning(t, "classic-cosign")
	good := signed.layers(t)[0]
	bad := map[string]any{"mediaType": good["mediaType"], "digest": good["digest"], "annotations": map[string]any{"dev.cosignproject.cosign/signature": "AAAA"}}
	many := slices.Repeat([]map[string]any{bad}, 200)

	server := serve(t)
	signed.keepLayers(t, slices.Concat([]map[string]any{good}, many))
	image := server.keep(signed)
	wantRefused(t, server.verify(t, image, "cosign"), TooManySignatures, "more than 64 signatures")
	if n := server.count("GET /v2/cart/blobs/" + signed.payload(t)); n != 64 {
		t.Errorf("%d were looked at", n)
	}

	server = serve(t)
	signed.keepLayers(t, slices.Concat(many, []map[string]any{good}))
	if err := server.verify(t, server.keep(signed), "cosign"); err != nil {
		t.Error("the newest is good:", err)
	}
}

func TestAtMost64ReferrersAreLookedAt(t *testing.T) {
	signed := readSigning(t, "bundle-cosign")
	manifest, _ := signed.bundle(t)
	descriptor := map[string]any{"mediaType": ociManifest, "artifactType": bundleType, "digest": manifest}
	other := map[string]any{"mediaType": ociManifest, "artifactType": "application/spdx+json", "digest": someDigest}
	many := slices.Repeat([]any{descriptor}, 65)
	for _, test := range []struct {
		manifests []any
		link      string
		want      Reason
		requests  int
	}{
		{many, "", TooManySignatures, 64},
		{many[:1], `</v2/next>; rel="next"`, TooManySignatures, 1},
		{append(slices.Repeat([]any{other}, 500), descriptor), "", SignedByOtherKeys, 1},
	} {
		server := serve(t)
		index := encoded(t, map[string]any{"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": test.manifests})
		server.on("GET /v2/cart/referrers/"+signed.digest, func(w http.ResponseWriter, r *http.Request) {
			if test.link != "" {
				w.Header().Set("Link", test.link)
			}
			content("application/vnd.oci.image.index.v1+json", index)(w, r)
		})
		wantRefused(t, server.verify(t, server.keep(signed), "other"), test.want)
		if n := server.count("GET " + cart + manifest); n != test.requests {
			t.Errorf("%d were looked at, want %d", n, test.requests)
		}
	}
}

// Whichever request a registry fails at, the image is not said to be unsigned, and nothing more is asked.
func TestARegistryInTroubleIsNotAMissingSignature(t *testing.T) {
	for _, trouble := range []struct {
		code      int
		header    http.Header
		want      Reason
		temporary bool
	}{
		{http.StatusInternalServerError, nil, Unavailable, true},
		{http.StatusTooManyRequests, http.Header{"Retry-After": {"30"}}, TooManyRequests, true},
		{http.StatusUnauthorized, nil, Unauthorized, false},
		{http.StatusForbidden, nil, Unauthorized, false},
	} {
		classic, bundle := readSigning(t, "classic-cosign"), readSigning(t, "bundle-cosign")
		manifest, blob := bundle.bundle(t)
		for request, signed := range map[string]signing{
			"GET /v2/cart/blobs/" + classic.payload(t): classic,
			"GET " + cart + bundle.tag + ".sig":        bundle,
			"GET /v2/cart/referrers/" + bundle.digest:  bundle,
			"GET " + cart + bundle.tag:                 bundle,
			"GET " + cart + manifest:                   bundle,
			"GET /v2/cart/blobs/" + blob:               bundle,
		} {
			server := serve(t)
			server.on(request, status(trouble.code, trouble.header))
			image := server.keep(signed)
			err := server.verify(t, image, "cosign")
			wantRefused(t, err, trouble.want, "resolving "+image+": looking for its signatures: ")
			if e := firstError(t, err); e.Temporary != trouble.temporary || e.Host != server.host || strings.Contains(e.Error(), "secret") {
				t.Errorf("%d to %s: got %+v", trouble.code, request, e)
			}
			if last := server.last(); last != request {
				t.Errorf("%d to %s: %s was asked afterwards", trouble.code, request, last)
			}
		}
	}
}

func TestASlowRegistryIsNotAMissingSignature(t *testing.T) {
	server, signed := serve(t), readSigning(t, "classic-cosign")
	server.on("GET "+cart+signed.tag+".sig", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	resolver := server.resolver(t, Options{Timeout: 100 * time.Millisecond})
	err := resolver.Verify(t.Context(), Query{Image: server.keep(signed)}, readKeys(t, "cosign"))
	wantRefused(t, err, Timeout)
}

func TestAVerifiedDigestIsNotAskedForAgain(t *testing.T) {
	server, signed := serve(t), readSigning(t, "classic-cosign")
	image := server.keep(signed)
	resolver := server.resolver(t, Options{})
	verify := func(image string, keys ...string) error {
		return resolver.Verify(t.Context(), Query{Image: image}, readKeys(t, keys...))
	}
	if err := verify(image, "cosign"); err != nil {
		t.Fatal(err)
	}
	server.forget()
	for _, again := range []string{image, server.host + "/cart:1@" + signed.digest, server.host + "/elsewhere@" + signed.digest} {
		if err := verify(again, "other", "cosign"); err != nil {
			t.Error(err)
		}
	}
	server.expect()
	wantRefused(t, verify(image, "other"), SignedByOtherKeys)
}

func TestARefusalIsNotRemembered(t *testing.T) {
	server, signed := serve(t), readSigning(t, "classic-cosign")
	later := signed.manifests[signed.tag+".sig"]
	delete(signed.manifests, signed.tag+".sig")
	image := server.keep(signed)
	resolver := server.resolver(t, Options{})
	wantRefused(t, resolver.Verify(t.Context(), Query{Image: image}, readKeys(t, "cosign")), NotSigned)
	signed.manifests[signed.tag+".sig"] = later
	server.keep(signed)
	if err := resolver.Verify(t.Context(), Query{Image: image}, readKeys(t, "cosign")); err != nil {
		t.Error(err)
	}
}

func TestSignaturesAreReadWithTheCredentialsOfTheImage(t *testing.T) {
	for _, name := range []string{"classic-cosign", "bundle-cosign"} {
		for form, protect := range map[string]func(*server){
			"basic": func(s *server) { s.protect("ana", "pw") },
			"token": func(s *server) { s.wantToken("token") },
		} {
			server := serve(t)
			image := server.keep(readSigning(t, name))
			protect(server)
			query := Query{Image: image, Credentials: login(t, server.host, "ana", "pw")}
			if err := server.resolver(t, Options{}).Verify(t.Context(), query, readKeys(t, "cosign")); err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
			}
			wantRefused(t, server.verify(t, image, "cosign"), Unauthorized)
		}
	}
}

func TestAPayloadMayBeElsewhereAndCredentialsStay(t *testing.T) {
	cdn, server, signed := serve(t), serve(t), readSigning(t, "classic-cosign")
	payload := signed.payload(t)
	image := server.keep(signed)
	server.protect("ana", "pw")
	server.on("GET /v2/cart/blobs/"+payload, redirect("http://"+cdn.host+"/x"))
	cdn.on("GET /x", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were sent to another host")
		}
		content("application/octet-stream", signed.blobs[payload])(w, r)
	})
	query := Query{Image: image, Credentials: login(t, server.host, "ana", "pw")}
	verify := func(opts Options) error {
		return server.resolver(t, opts).Verify(t.Context(), query, readKeys(t, "cosign"))
	}
	wantRefused(t, verify(Options{}), Redirected, "plain HTTP")
	cdn.expect()
	if err := verify(Options{Insecure: []string{cdn.host}}); err != nil {
		t.Error(err)
	}
	cdn.expect("GET /x")
}

func TestAnImageWithoutDigestCannotBeVerified(t *testing.T) {
	server := serve(t)
	for _, image := range []string{"cart:1", "cart", "Cart@" + someDigest} {
		wantRefused(t, server.verify(t, server.host+"/"+image, "cosign"), InvalidReference)
	}
	wantRefused(t, server.verify(t, server.host+"/cart@"+someDigest), SignedByOtherKeys, "no public key")
	server.expect()
}

func TestACancelledVerificationIsNotTheRegistrysFault(t *testing.T) {
	server := serve(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped")
	server.on("GET /v2/", func(_ http.ResponseWriter, r *http.Request) { cancel(stop); <-r.Context().Done() })
	err := server.resolver(t, Options{}).Verify(ctx, Query{Image: server.host + "/cart@" + someDigest}, readKeys(t, "cosign"))
	if e := (*Error)(nil); !errors.Is(err, stop) || errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

func (s *server) count(request string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, each := range s.requests {
		if each == request {
			n++
		}
	}
	return n
}

func (s *server) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		return ""
	}
	return s.requests[len(s.requests)-1]
}

// Who names a digest that another has signed, at a registry of his own that never answers, does not hold up the other.
func TestASearchDoesNotWaitForAnotherRegistry(t *testing.T) {
	server, slow, signed := serve(t), serve(t), readSigning(t, "classic-cosign")
	image := server.keep(signed)
	entered, release := make(chan struct{}), make(chan struct{})
	slow.on("GET /v2/", func(http.ResponseWriter, *http.Request) { close(entered); <-release })
	resolver := server.resolver(t, Options{Insecure: []string{slow.host}})
	held := make(chan error)
	go func() {
		held <- resolver.Verify(t.Context(), Query{Image: slow.host + "/cart@" + signed.digest}, readKeys(t, "cosign"))
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := resolver.Verify(ctx, Query{Image: image}, readKeys(t, "cosign")); err != nil {
		t.Error(err)
	}
	close(release)
	if err := <-held; err == nil {
		t.Error("a registry without the image has its signature")
	}
}
