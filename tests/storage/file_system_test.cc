// The operating system's files, publishing, and the model of a disk that other tests stand on.
#include "mneme/storage/file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fault_file_system.h"
#include "seeded_test.h"
#include "temp_directory.h"

namespace mneme::storage {
namespace {

using mneme::testing::FaultFileSystem;
using Call = FaultFileSystem::Call;

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

unsigned mode_of(const Path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 0777u;
}

void write_text(FileSystem& fs, const Path& path, std::string_view text) {
  auto file = fs.open(path, OpenMode::CreateOrTruncate);
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  ASSERT_TRUE((*file)->write_at(0, as_bytes(text)).ok());
  ASSERT_TRUE((*file)->close().ok());
}

std::string text_of(FileSystem& fs, const Path& path) {
  const auto bytes = read_file(fs, path, kMiB);
  return bytes ? std::string(as_text(*bytes)) : bytes.status().to_string();
}

/// The same behaviour is asked of both implementations.
class AnyFiles : public ::testing::TestWithParam<bool> {
 protected:
  FileSystem& fs() { return GetParam() ? static_cast<FileSystem&>(model_) : posix_file_system(); }
  Path at(const std::string& name) const { return GetParam() ? Path(name) : directory_ / name; }

 private:
  test::TempDirectory directory_;
  FaultFileSystem model_;
};

TEST_P(AnyFiles, ReadsWhatWasWritten) {
  auto file = fs().open(at("f"), OpenMode::CreateNew);
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  ASSERT_TRUE((*file)->write_at(5, as_bytes("world")).ok());
  ASSERT_TRUE((*file)->write_at(0, as_bytes("hello")).ok());
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ((*file)->size().value(), 10u);

  Bytes into(20);
  EXPECT_EQ((*file)->read_at(3, into).value(), 7u) << "fewer only at the end";
  EXPECT_EQ(as_text(ByteView(into).first(7)), "loworld");
  EXPECT_EQ((*file)->read_at(10, into).value(), 0u);
  ASSERT_TRUE((*file)->truncate(4).ok());
  EXPECT_EQ((*file)->size().value(), 4u);
  EXPECT_TRUE((*file)->close().ok());
}

TEST_P(AnyFiles, OpenModesDoWhatTheirNamesSay) {
  EXPECT_EQ(fs().open(at("f"), OpenMode::Read).status().code(), Code::NotFound);
  EXPECT_EQ(fs().open(at("f"), OpenMode::ReadWrite).status().code(), Code::NotFound);
  write_text(fs(), at("f"), "text");
  EXPECT_EQ(fs().open(at("f"), OpenMode::CreateNew).status().code(), Code::AlreadyExists);
  ASSERT_TRUE(fs().open(at("f"), OpenMode::ReadWrite).ok());
  EXPECT_EQ(text_of(fs(), at("f")), "text");
  auto reader = fs().open(at("f"), OpenMode::Read);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->write_at(0, as_bytes("x")).code(), Code::IoError);
  ASSERT_TRUE(fs().open(at("f"), OpenMode::CreateOrTruncate).ok());
  EXPECT_EQ(text_of(fs(), at("f")), "");
}

TEST_P(AnyFiles, NamesAreListedRenamedAndRemoved) {
  ASSERT_TRUE(fs().make_directory(at("d")).ok());
  ASSERT_TRUE(fs().make_directory(at("d")).ok()) << "it is there";
  write_text(fs(), at("d") / "b", "1");
  write_text(fs(), at("d") / "a", "2");
  EXPECT_EQ(fs().list(at("d")).value(), (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(fs().rename(at("d") / "b", at("d") / "a").ok());
  EXPECT_EQ(text_of(fs(), at("d") / "a"), "1");
  EXPECT_TRUE(fs().exists(at("d") / "a").value());
  EXPECT_FALSE(fs().exists(at("d") / "b").value());
  EXPECT_EQ(fs().remove(at("d") / "b").code(), Code::NotFound);
  ASSERT_TRUE(fs().remove(at("d") / "a").ok());
  write_text(fs(), at("d") / "c", "3");
  ASSERT_TRUE(fs().sync_directory(at("d")).ok());
  ASSERT_TRUE(fs().remove_all(at("d")).ok());
  EXPECT_EQ(fs().list(at("d")).status().code(), Code::NotFound);
}

TEST_P(AnyFiles, ALockHasOneHolder) {
  auto first = fs().lock(at("LOCK"));
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  EXPECT_EQ(fs().lock(at("LOCK")).status().code(), Code::Busy);
  first->reset();
  EXPECT_TRUE(fs().lock(at("LOCK")).ok());
}

TEST_P(AnyFiles, AWholeFileIsReadUpToALimit) {
  write_text(fs(), at("f"), "12345");
  EXPECT_EQ(read_file(fs(), at("f"), 5).value(), bytes_of("12345"));
  EXPECT_EQ(read_file(fs(), at("f"), 4).status().code(), Code::InvalidArgument);
  EXPECT_EQ(read_file(fs(), at("absent"), 4).status().code(), Code::NotFound);
}

TEST_P(AnyFiles, APublishedFileReplacesTheOneBefore) {
  ASSERT_TRUE(publish_file(fs(), at("f"), as_bytes("first")).ok());
  ASSERT_TRUE(publish_file(fs(), at("f"), as_bytes("second")).ok());
  EXPECT_EQ(text_of(fs(), at("f")), "second");
  EXPECT_FALSE(fs().exists(at("f.tmp")).value());
}

INSTANTIATE_TEST_SUITE_P(Posix, AnyFiles, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Model, AnyFiles, ::testing::Values(true));

TEST(PosixFiles, AreForTheOwnerAlone) {
  const mode_t before = ::umask(0);
  const test::TempDirectory directory;
  write_text(posix_file_system(), directory / "f", "x");
  ASSERT_TRUE(posix_file_system().make_directory(directory / "d").ok());
  ASSERT_TRUE(posix_file_system().lock(directory / "LOCK").ok());
  ::umask(before);
  EXPECT_EQ(mode_of(directory / "f"), 0600u);
  EXPECT_EQ(mode_of(directory / "LOCK"), 0600u);
  EXPECT_EQ(mode_of(directory / "d"), 0700u);
}

TEST(PosixFiles, ErrorsNamePathCallAndCause) {
  const test::TempDirectory directory;
  const Status status = posix_file_system().open(directory / "absent", OpenMode::Read).status();
  EXPECT_EQ(status.message(), (directory / "absent").string() + ": open: No such file or directory");
  const auto full = posix_file_system().open("/dev/full", OpenMode::ReadWrite);
  ASSERT_TRUE(full.ok());
  const Status written = (*full)->write_at(0, as_bytes("abc"));
  EXPECT_EQ(written.code(), Code::NoSpace);
  EXPECT_EQ(written.message(), "/dev/full: write of 3 bytes at byte 0: No space left on device");
}

TEST(PosixFiles, TellTheRoomThatIsLeft) {
  const test::TempDirectory directory;
  EXPECT_GT(posix_file_system().available_bytes(directory.path()).value(), 0u);
  EXPECT_EQ(posix_file_system().available_bytes(directory / "absent").status().code(), Code::NotFound);
}

class Publishing : public mneme::testing::SeededTest {};

TEST_F(Publishing, ShowsOneFileOrTheOtherWhateverFails) {
  for (std::uint64_t nth = 1;; ++nth) {
    FaultFileSystem fs;
    ASSERT_TRUE(publish_file(fs, "f", as_bytes("old text")).ok());
    fs.fail(Call::Any, nth);
    const Status status = publish_file(fs, "f", as_bytes("new text, longer"));
    const bool fired = fs.fault_fired();
    fs.fail_nothing();
    const std::string now = text_of(fs, "f");
    if (status.ok()) {
      ASSERT_EQ(now, "new text, longer");
    } else {
      ASSERT_TRUE(now == "old text" || now == "new text, longer") << now;
    }
    for (int i = 0; i < 20; ++i) {
      const auto image = fs.after_power_loss(random());
      const std::string then = text_of(*image, "f");
      ASSERT_TRUE(then == now || then == "old text") << then;
      ASSERT_TRUE(!status.ok() || then == now) << then;
    }
    if (!fired) break;
  }
}

class DiskModel : public mneme::testing::SeededTest {
 protected:
  /// The file after each of 200 power cuts.
  std::set<std::string> after_cuts(const FaultFileSystem& fs) {
    std::set<std::string> seen;
    for (int i = 0; i < 200; ++i) {
      const auto image = fs.after_power_loss(random());
      seen.insert(image->holds("f") ? std::string(as_text(image->contents("f"))) : "absent");
    }
    return seen;
  }
};

TEST_F(DiskModel, ForgetsANameThatWasNotSynced) {
  FaultFileSystem fs;
  auto file = fs.open("f", OpenMode::CreateNew);
  ASSERT_TRUE((*file)->write_at(0, as_bytes("x")).ok());
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ(after_cuts(fs), (std::set<std::string>{"absent", "x"}));
  ASSERT_TRUE(fs.sync_directory(".").ok());
  EXPECT_EQ(after_cuts(fs), std::set<std::string>{"x"});
}

TEST_F(DiskModel, KeepsOrLosesEachUnsyncedSector) {
  FaultFileSystem fs;
  fs.set_contents("f", bytes_of(std::string(1024, 'o')));
  auto file = fs.open("f", OpenMode::ReadWrite);
  ASSERT_TRUE((*file)->write_at(0, as_bytes(std::string(1024, 'n'))).ok());
  const std::string o(512, 'o'), n(512, 'n');
  EXPECT_EQ(after_cuts(fs), (std::set<std::string>{o + o, o + n, n + o, n + n}));
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ(after_cuts(fs), std::set<std::string>{n + n});
}

TEST_F(DiskModel, AFailedSyncForgetsWhatItShouldHaveWritten) {
  FaultFileSystem fs;
  fs.set_contents("f", bytes_of("old"));
  auto file = fs.open("f", OpenMode::ReadWrite);
  ASSERT_TRUE((*file)->write_at(0, as_bytes("new")).ok());
  fs.fail(Call::Sync, 1);
  EXPECT_FALSE((*file)->sync().ok());
  EXPECT_TRUE((*file)->sync().ok());
  EXPECT_EQ(text_of(fs, "f"), "new");
  EXPECT_EQ(after_cuts(fs), std::set<std::string>{"old"});
  ASSERT_TRUE((*file)->write_at(0, as_bytes("new")).ok());
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ(after_cuts(fs), std::set<std::string>{"new"});
}

}  // namespace
}  // namespace mneme::storage
