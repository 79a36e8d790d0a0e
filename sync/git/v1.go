package git

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// parseAdvertisement reads all refs of a version 1 server. An empty repository
// has none.
func parseAdvertisement(r io.Reader) (*packp.AdvRefs, error) {
	advertised := packp.NewAdvRefs()
	err := advertised.Decode(r)
	if err != nil && !errors.Is(err, packp.ErrEmptyAdvRefs) {
		return nil, rebuilt(err, "a list of refs")
	}
	return advertised, nil
}

func advertisedRefs(advertised *packp.AdvRefs, names ...string) map[string]ref {
	refs := map[string]ref{}
	for _, name := range names {
		if hash, ok := advertised.References[name]; ok {
			refs[name] = ref{hash: hash, peeled: advertised.Peeled[name]}
		}
	}
	if slices.Contains(names, "HEAD") && advertised.Head != nil {
		refs["HEAD"] = ref{hash: *advertised.Head}
	}
	return refs
}

// uploadRequest asks for want where the server allows that, else for all its
// branches and tags. Without thin-pack the pack stands alone; multi_ack stays,
// since Azure DevOps serves nobody without it.
func uploadRequest(advertised *packp.AdvRefs, want plumbing.Hash, haves []plumbing.Hash) (*packp.UploadPackRequest, error) {
	if len(advertised.Shallows) > 0 {
		return nil, fail(Unsupported, "the remote is itself a shallow clone")
	}
	if len(advertised.References) == 0 {
		return nil, fail(EmptyRepository, "the repository is empty")
	}
	req := packp.NewUploadPackRequestFromCapabilities(advertised.Capabilities)
	req.Capabilities.Delete(capability.ThinPack)
	if advertised.Capabilities.Supports(capability.NoProgress) {
		_ = req.Capabilities.Set(capability.NoProgress)
	}
	req.Wants, req.Haves = wants(advertised, want), haves
	if req.IsEmpty() {
		return nil, retry(CommitNotFound, "the remote serves no commit %s", want)
	}
	return req, nil
}

func wants(advertised *packp.AdvRefs, want plumbing.Hash) []plumbing.Hash {
	if advertised.Capabilities.Supports(capability.AllowReachableSHA1InWant) {
		return []plumbing.Hash{want}
	}
	var all []plumbing.Hash
	for name, hash := range advertised.References {
		if hash == want {
			return []plumbing.Hash{want}
		}
		if name := plumbing.ReferenceName(name); name.IsBranch() || name.IsTag() {
			all = append(all, hash)
		}
	}
	for name, hash := range advertised.Peeled { // the commit of an annotated tag
		if hash == want {
			return []plumbing.Hash{advertised.References[name]}
		}
	}
	return all
}

// fetchV1 does in one request what go-git's http transport does, over our client.
func (s *smart) fetchV1(ctx context.Context, advertised *packp.AdvRefs, want plumbing.Hash, haves []plumbing.Hash) (io.ReadCloser, error) {
	req, err := uploadRequest(advertised, want, haves)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := errors.Join(
		req.UploadRequest.Encode(&b),
		req.UploadHaves.Encode(&b, false),
		pktline.NewEncoder(&b).EncodeString("done\n"),
	); err != nil {
		return nil, rebuilt(err, "one we can reply to")
	}
	res, err := s.http.post(ctx, b.Bytes(), s.limit)
	if err != nil {
		return nil, err
	}
	decoded := packp.NewUploadPackResponse(req)
	if err := decoded.Decode(res); err != nil {
		res.Close()
		return nil, refusedFetch(err, want)
	}
	return demultiplexed(req, decoded), nil
}

// demultiplexed takes the pack out of the sideband that was agreed on.
func demultiplexed(req *packp.UploadPackRequest, res io.ReadCloser) io.ReadCloser {
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		return &pack{sideband.NewDemuxer(sideband.Sideband64k, res), res}
	case req.Capabilities.Supports(capability.Sideband):
		return &pack{sideband.NewDemuxer(sideband.Sideband, res), res}
	}
	return res
}
