//go:build !linux

package render

import "runtime/debug"

// limitMemory only has garbage collected more often near the limit: the agent runs on Linux, and elsewhere somebody
// renders their own repository.
func limitMemory(bytes int64) error {
	debug.SetMemoryLimit(bytes)
	return nil
}
