package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxPlatforms is how many platforms of one index are remembered. Images have a dozen.
const maxPlatforms = 100

// platforms are the distinct ones that an index is for, without what nodes do not ask for. They are kept, so there is an
// end to them.
type platforms []v1.Platform

// UnmarshalJSON reads the manifests of an index one by one, since four megabytes of {} would be hundreds in memory.
func (p *platforms) UnmarshalJSON(text []byte) error {
	*p = nil
	if string(text) == "null" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('[') {
		return errors.New("not an array")
	}
	for decoder.More() {
		var each struct {
			Platform *v1.Platform `json:"platform"`
		}
		if err := decoder.Decode(&each); err != nil {
			return err
		}
		if each.Platform != nil && each.Platform.OS != "unknown" { // else it is an attestation
			p.add(*each.Platform)
		}
	}
	return nil
}

func (p *platforms) add(offered v1.Platform) {
	fresh := normalized(v1.Platform{
		OS: offered.OS, Architecture: offered.Architecture, Variant: offered.Variant, OSVersion: offered.OSVersion,
	})
	known := slices.ContainsFunc(*p, func(other v1.Platform) bool { return other.Equals(fresh) })
	if !known && len(fresh.String()) <= 128 && len(*p) < maxPlatforms {
		*p = append(*p, fresh)
	}
}

// checkPlatforms is satisfied by any one of the platforms: which nodes of a mixed cluster a pod may run on is not known
// here.
func checkPlatforms(have, want []v1.Platform) error {
	if len(want) == 0 {
		return nil
	}
	var offered, asked []string
	for _, platform := range have {
		if slices.ContainsFunc(want, platform.Satisfies) {
			return nil
		}
		offered = append(offered, platformName(platform))
	}
	for _, platform := range want {
		asked = append(asked, platform.String())
	}
	slices.Sort(offered)
	return &Error{
		Reason: PlatformMissing,
		Detail: fmt.Sprintf("the nodes are %s, and the image is for %s", list(asked), list(slices.Compact(offered))),
	}
}

// nodePlatforms asks for the platforms of the nodes. Who does not know them does not know what the image is for either,
// so that is an error.
func (r *Resolver) nodePlatforms(ctx context.Context) ([]v1.Platform, error) {
	if r.platforms == nil {
		return nil, nil
	}
	names, err := r.platforms(ctx)
	if err != nil {
		return nil, &Error{Reason: NodesUnknown, Detail: "the platforms of the nodes are not known: " + oneLine(err.Error()), Temporary: true}
	}
	platforms, err := parsePlatforms(names)
	if err != nil {
		return nil, &Error{Reason: NodesUnknown, Detail: "the platforms of the nodes are not known: " + oneLine(err.Error()), Temporary: true}
	}
	return platforms, nil
}

func parsePlatforms(names []string) ([]v1.Platform, error) {
	var platforms []v1.Platform
	for _, name := range names {
		platform, err := v1.ParsePlatform(name)
		if err != nil || platform.OS == "" || platform.Architecture == "" {
			return nil, fmt.Errorf("parsing platform %q: it should be like linux/amd64", name)
		}
		platforms = append(platforms, normalized(*platform))
	}
	return platforms, nil
}

// normalized drops the variant of arm64, which some builders write and some do
// not: there is only v8.
func normalized(p v1.Platform) v1.Platform {
	if p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = ""
	}
	return p
}

// platformName is a platform fit to be shown: the registry chose its letters.
func platformName(p v1.Platform) string {
	plain := v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
	if name := plain.String(); len(name) <= 32 && validPath.MatchString(name) {
		return name
	}
	return "another"
}

// list joins names, at most ten of them.
func list(names []string) string {
	const most = 10
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
