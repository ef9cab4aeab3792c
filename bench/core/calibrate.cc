#include "calibrate.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "mneme/base/bytes.h"
#include "mneme/base/checksum.h"
#include "report.h"

namespace mneme::bench {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

class RawFile {
 public:
  explicit RawFile(std::string path)
      : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600)) {
    require(fd_ >= 0, "open " + path_ + ": " + std::strerror(errno));
  }
  ~RawFile() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;
  void write(std::uint64_t offset, ByteView bytes) const {
    require(::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes.size()),
            "write " + path_ + ": " + std::strerror(errno));
  }
  void sync() const { require(::fdatasync(fd_) == 0, "fdatasync " + path_ + ": " + std::strerror(errno)); }
  std::size_t read(std::uint64_t offset, std::span<std::byte> into) const {
    const ssize_t got = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
    require(got >= 0, "read " + path_ + ": " + std::strerror(errno));
    return static_cast<std::size_t>(got);
  }

 private:
  std::string path_;
  int fd_;
};

Bytes noise(std::uint64_t bytes) {
  Bytes out(bytes);
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i + 8 <= out.size(); i += 8) store_le(out.data() + i, random());
  return out;
}

}  // namespace

double synced_appends_per_second(const std::string& directory, std::uint64_t bytes, double seconds) {
  const RawFile file(directory + "/raw-append");
  const std::uint64_t span = std::max<std::uint64_t>(64 * kMiB, 64 * bytes);
  const Bytes zeros(kMiB);
  for (std::uint64_t at = 0; at < span; at += kMiB) file.write(at, zeros);
  file.sync();
  const Bytes record = noise(bytes);
  std::uint64_t count = 0;
  const auto begin = Clock::now();
  for (; since(begin) < seconds; ++count) {
    file.write(count * bytes % span, record);
    file.sync();
  }
  return static_cast<double>(count) / since(begin);
}

double read_bandwidth(unsigned threads) {
  constexpr std::size_t kWords = kGiB / 8;
  std::vector<std::uint64_t> data(kWords, 1);
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    std::atomic<std::uint64_t> total{0};
    const auto begin = Clock::now();
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        const std::size_t from = kWords / threads * t, to = from + kWords / threads;
        std::uint64_t sums[8] = {};
        for (std::size_t i = from; i + 8 <= to; i += 8)
          for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += data[i + lane];
        total += std::accumulate(std::begin(sums), std::end(sums), std::uint64_t{0});
      });
    }
    for (std::thread& worker : workers) worker.join();
    require(total > 0, "read bandwidth: nothing was summed");
    best = std::max(best, static_cast<double>(kGiB) / since(begin));
  }
  return best;
}

double two_memory_misses(std::uint64_t bytes) {
  // One cycle through all cache lines, in random order (Sattolo's algorithm).
  constexpr std::size_t kStride = 8;  // words of a line
  const std::size_t lines = bytes / 64;
  std::vector<std::uint64_t> next(lines * kStride);
  std::vector<std::uint64_t> order(lines);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(2);
  for (std::size_t i = lines - 1; i > 0; --i) std::swap(order[i], order[random() % i]);
  for (std::size_t i = 0; i < lines; ++i) next[order[i] * kStride] = order[(i + 1) % lines];
  constexpr std::size_t kSteps = 2'000'000;
  std::uint64_t at = 0;
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < kSteps; ++i) at = next[at * kStride];
  const double seconds = since(begin);
  require(at < lines, "memory: lost the way");
  return seconds / kSteps * 2;
}

double checksummed_read_bandwidth(const std::string& directory, std::uint64_t bytes) {
  const RawFile file(directory + "/raw-read");
  const Bytes piece = noise(kMiB);
  for (std::uint64_t at = 0; at < bytes; at += kMiB) file.write(at, piece);
  file.sync();
  Bytes into(kMiB);
  std::uint32_t crc = 0;
  const auto begin = Clock::now();
  for (std::uint64_t at = 0; at < bytes; at += kMiB) {
    require(file.read(at, into) == kMiB, "read: short");
    crc = crc32c(into, crc);
  }
  const double seconds = since(begin);
  require(crc != 0, "read: checksum");
  return static_cast<double>(bytes) / seconds;
}

}  // namespace mneme::bench
