package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// Version 2's requests are written down in https://git-scm.com/docs/protocol-v2.

// listV2 asks for the refs whose names begin with one of prefixes, and reads no
// further than to the one that is enough: thousands may begin with its name.
func (s *smart) listV2(ctx context.Context, prefixes []string, enough func(name string) bool) (map[string]ref, error) {
	arguments := []string{"peel"}
	for _, prefix := range prefixes {
		arguments = append(arguments, "ref-prefix "+prefix)
	}
	res, err := s.http.post(ctx, commandV2("ls-refs", arguments), maxRefsBytes)
	if err != nil {
		return nil, err
	}
	defer res.Close()
	refs := map[string]ref{}
	lines := pktline.NewScanner(res)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			return refs, nil
		}
		name, ref, err := parseRefV2(string(lines.Bytes()))
		if err != nil {
			return nil, err
		}
		if refs[name] = ref; enough(name) {
			return refs, nil
		}
	}
	return nil, rebuilt(lines.Err(), "a whole list of refs")
}

// parseRefV2 reads `<hash> <name>[ peeled:<hash>]`.
func parseRefV2(line string) (name string, r ref, err error) {
	fields := strings.Fields(line)
	if len(fields) < 2 || !fullHash.MatchString(fields[0]) {
		return "", ref{}, retry(InvalidResponse, "the server's answer is not a list of refs")
	}
	r.hash = plumbing.NewHash(fields[0])
	for _, attribute := range fields[2:] {
		if hash, ok := strings.CutPrefix(attribute, "peeled:"); ok && fullHash.MatchString(hash) {
			r.peeled = plumbing.NewHash(hash)
		}
	}
	return fields[1], r, nil
}

// fetchV2 asks for one commit by its hash, which version 2 always allows. It
// says "done" at once: what the two sides have in common is found among haves
// in a single request. Without thin-pack the pack stands alone.
func (s *smart) fetchV2(ctx context.Context, want plumbing.Hash, haves []plumbing.Hash) (io.ReadCloser, error) {
	arguments := []string{"ofs-delta", "no-progress", "want " + want.String()}
	for _, have := range haves {
		arguments = append(arguments, "have "+have.String())
	}
	res, err := s.http.post(ctx, commandV2("fetch", append(arguments, "done")), s.limit)
	if err != nil {
		return nil, err
	}
	lines := pktline.NewScanner(res)
	if !lines.Scan() {
		res.Close()
		return nil, refusedFetch(lines.Err(), want)
	}
	switch section := strings.TrimSuffix(string(lines.Bytes()), "\n"); section {
	case "packfile":
		return &pack{sideband.NewDemuxer(sideband.Sideband64k, res), res}, nil
	case "shallow-info":
		res.Close()
		return nil, fail(Unsupported, "the remote is itself a shallow clone")
	default:
		res.Close()
		return nil, retry(InvalidResponse, "the server's answer is not a pack")
	}
}

// refusedFetch tells a commit that the remote does not have from other trouble.
func refusedFetch(err error, want plumbing.Hash) error {
	if line, ok := errors.AsType[*pktline.ErrorLine](err); ok && strings.Contains(line.Text, "not our ref") {
		return retry(CommitNotFound, "the remote has no commit %s", want)
	}
	return rebuilt(err, "a pack")
}

// commandV2 writes a request. go-git's encoder knows no delimiter packet.
func commandV2(command string, arguments []string) []byte {
	var b bytes.Buffer
	line := func(s string) { fmt.Fprintf(&b, "%04x%s\n", len(s)+5, s) }
	line("command=" + command)
	line("agent=belay")
	b.WriteString("0001")
	for _, argument := range arguments {
		line(argument)
	}
	b.WriteString("0000")
	return b.Bytes()
}

// pack reads one stream and closes another.
type pack struct {
	io.Reader
	io.Closer
}
