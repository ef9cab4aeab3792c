// Section files: arrays under names, each with its checksum, behind a header that vouches for all of them.
//
//   offset  size  field     meaning
//        0     8  magic     "MNEMEIDX"
//        8     2  kind      FileKind
//       10     2  version   1
//       12     4  features  incompatible-feature bits; an unknown bit is VersionMismatch
//       16    16  index     id of the index that the file belongs to
//       32     8  number    of the save that wrote it
//       40     8  bytes     of the whole, header included
//       48     4  sections
//       52     4  reserved  zero
//       56     8  xxh3      of bytes [0, 56) and of the table
//       64     -  table     per section: name (8 bytes, zeros behind it), offset u64, bytes u64, xxh3 u64
//
// Sections begin at multiples of 64; what lies between is zeros and is not read. Offsets count from the header, which
// lies at a multiple of 4096 of its file. An array that is verified piece by piece when it is touched has the xxh3 0,
// and a section beside it holds the checksums of its pieces.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "index_file.h"
#include "mneme/base/ids.h"

namespace mneme::index {

enum class FileKind : std::uint16_t { Rows = 1, Slots = 2, Codes = 3, Book = 4, State = 5 };  // values are on disk
inline constexpr std::size_t kFileHeaderBytes = 64;
inline constexpr std::size_t kFilePage = 4096;

/// What tells one file from all others of its index.
struct FileId {
  FileKind kind;
  Uuid index;
  std::uint64_t number = 0;
};

/// Where a set of sections lies, and the checksum of its header, which holds those of the sections.
struct SectionsPlace {
  std::uint64_t offset = 0, bytes = 0, xxh3 = 0;
};

/// Collects what is to be written; the arrays stay where they are until write().
class SectionWriter {
 public:
  explicit SectionWriter(const FileId& id) : id_(id) {}
  /// `name`: 1 to 8 characters.
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void add(std::string_view name, std::span<const T> values) { add_bytes(name, std::as_bytes(values), true); }
  template <class T>
  void add(std::string_view name, const std::vector<T>& values) {
    add(name, std::span<const T>(values));
  }
  /// Without a checksum of the whole.
  void add_in_pieces(std::string_view name, ByteView bytes) { add_bytes(name, bytes, false); }
  /// Writes header, table and sections from `offset`, a multiple of kFilePage, on. Does not sync.
  Result<SectionsPlace> write(const IndexFile& file, std::uint64_t offset) const;

 private:
  struct Section {
    std::string_view name;
    ByteView bytes;
    bool whole;
  };
  void add_bytes(std::string_view name, ByteView bytes, bool whole) { sections_.push_back({name, bytes, whole}); }
  FileId id_;
  std::vector<Section> sections_;
};

/// Sections that were written, mapped. Threads: any, once open.
class SectionReader {
 public:
  /// Verifies header and table.
  /// @error Corruption  of another index, kind or number, too short, or not as its checksum says
  /// @error VersionMismatch
  static Result<SectionReader> open(const std::shared_ptr<IndexFile>& file, const SectionsPlace& place,
                                    const FileId& id);

  /// The section's bytes as they are mapped, verified. @error Corruption  it is not there, or damaged
  Result<ByteView> bytes(std::string_view name) const;
  /// Those of a section that is verified in pieces.
  Result<ByteView> unverified(std::string_view name) const;
  template <class T>
  Result<std::span<const T>> array(std::string_view name) const {
    MNEME_ASSIGN(const ByteView found, bytes(name));
    if (found.size() % sizeof(T) != 0) return odd_size(name, found.size(), sizeof(T));
    return std::span<const T>(reinterpret_cast<const T*>(found.data()), found.size() / sizeof(T));
  }
  const std::shared_ptr<IndexFile>& file() const { return file_; }
  std::uint64_t xxh3() const { return xxh3_; }
  const std::shared_ptr<Mapping>& mapping() const { return mapping_; }
  /// "FILE: section NAME at byte N"
  std::string where(std::string_view name) const;

 private:
  struct Section {
    std::string name;
    std::uint64_t offset, bytes, xxh3;
  };
  Result<const Section*> find(std::string_view name) const;
  Status odd_size(std::string_view name, std::size_t bytes, std::size_t unit) const;
  std::shared_ptr<IndexFile> file_;
  std::shared_ptr<Mapping> mapping_;
  std::uint64_t offset_ = 0, xxh3_ = 0;
  std::vector<Section> sections_;
};

/// The header alone, of a file whose rest has a form of its own.
Status write_header(const IndexFile& file, const FileId& id);
/// @error Corruption, VersionMismatch
Status check_header(const IndexFile& file, const FileId& id);

/// "xxh3 5f1a…, computed 90c2…"
std::string two_sums(std::uint64_t expected, std::uint64_t computed);

}  // namespace mneme::index
